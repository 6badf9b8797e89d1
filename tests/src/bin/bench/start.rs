use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// From starting the program to the first record on its standard output; components are compiled already.
pub(crate) fn start(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let (program, map, filter) = (place.program()?, place.operator("identity")?, place.operator("sample")?);
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
    // The first one compiles.
    for round in 0..=effort.pick(21, 7) {
        let begun = Instant::now();
        let mut child = Command::new(&program)
            .arg("run")
            .arg(&file)
            .arg("--quiet")
            .args(["--cache-folder".as_ref(), place.scratch("cache").as_os_str()])
            .args(["--lease-folder".as_ref(), place.scratch("leases").as_os_str()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no pipe to the program")?);
        let mut line = Vec::new();
        output.read_until(b'\n', &mut line)?;
        let taken = begun.elapsed();
        let rest = output.split(b'\n').count();
        if !child.wait()?.success() || line.is_empty() || rest == 0 {
            return Err("the program did not run the pipeline to its end".into());
        }
        if round > 0 {
            rounds.push(taken.as_secs_f64() * 1e3);
        }
    }
    Ok(vec![Figure::of("run of a cached pipeline to its first record", "ms", rounds).target(Target::AtMost(50.0))])
}
