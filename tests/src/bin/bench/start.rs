use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::{Place, require_success};

/// Time from starting the program to the first record on its standard output, with compiled components in the
/// cache.
pub(crate) fn start(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let (map, filter) = (place.operator("identity")?, place.operator("sample")?);
    let file = place.scratch("start.toml");
    let pipeline = format!(
        r#"
        [[source]]
        name = "source"
        generate = {{ count = 1000 }}
        [[operator]]
        name = "map"
        component = {map:?}
        input = "source"
        [[operator]]
        name = "filter"
        component = {filter:?}
        input = "map"
        [[sink]]
        name = "sink"
        input = "filter"
        stdout = {{}}
        "#
    );
    std::fs::write(&file, pipeline)?;
    let mut rounds = Vec::new();
    // The first round compiles the components.
    for round in 0..=effort.pick(21, 7) {
        let begun = Instant::now();
        let mut child = place.run_program(&file, Stdio::piped())?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no pipe to the program")?);
        let mut line = Vec::new();
        output.read_until(b'\n', &mut line)?;
        let taken = begun.elapsed();
        let rest = output.split(b'\n').count();
        require_success(child)?;
        if line.is_empty() || rest == 0 {
            return Err("the program wrote no records".into());
        }
        if round > 0 {
            rounds.push(taken.as_secs_f64() * 1e3);
        }
    }
    Ok(vec![Figure::of("run of a cached pipeline to its first record", "ms", rounds).target(Target::AtMost(50.0))])
}
