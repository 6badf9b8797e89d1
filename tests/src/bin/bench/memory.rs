use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::{Place, require_success};

/// Growth of the process from one instance of a small operator to 101 instances that work.
pub(crate) fn memory(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let settings = ("{ rate = 50000 }", r#"{ memory = "8MiB", object_store_memory = "64KiB" }"#);
    let mut rounds = Vec::new();
    for _ in 0..effort.pick(3, 1) {
        let (one, many) = (resident(place, 1, settings)?, resident(place, 101, settings)?);
        rounds.push(many.saturating_sub(one) as f64 / 1e6);
    }
    Ok(vec![Figure::of("resident memory that 100 instances add", "MB", rounds).target(Target::AtMost(60.0))])
}

/// Resident bytes of the program after every instance, with these resources, has had records of this
/// source.
pub(crate) fn resident(place: &Place, instances: u32, (generate, resources): (&str, &str)) -> Result<u64, Problem> {
    let map = place.operator("identity")?;
    let file = place.scratch("memory.toml");
    let pipeline = format!(
        r#"
        [[source]]
        name = "source"
        generate = {generate}
        [[operator]]
        name = "map"
        component = {map:?}
        input = "source"
        parallelism = {instances}
        resources = {resources}
        [[sink]]
        name = "sink"
        input = "map"
        discard = {{}}
        "#
    );
    std::fs::write(&file, pipeline)?;
    let child = place.run_program(&file, Stdio::null())?;
    let settled = settled(child.id());
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process without an id")?;
    let stopped = kill_process(process, Signal::TERM);
    // The program's own error comes first: if it died, its message explains most.
    require_success(child)?;
    stopped?;
    settled
}

/// Resident bytes of the process after it has stopped growing.
fn settled(process: u32) -> Result<u64, Problem> {
    let mut before = 0;
    for _ in 0..20 {
        sleep(Duration::from_millis(500));
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()).ok_or("no VmRSS in /proc/…/status")?;
        let now = kibibytes.parse::<u64>()? << 10;
        if before > 0 && now <= before + before / 200 {
            return Ok(now);
        }
        before = now;
    }
    Err("the process did not stop growing".into())
}
