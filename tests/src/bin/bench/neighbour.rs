use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::{Place, require_success};

/// Throughput of a pipeline on one CPU while the workers of a pipeline on another CPU are killed for lack of
/// memory again and again, divided by its throughput alone. Each program is bound to its CPU. The two share
/// the rest of the machine: caches, memory, the kernel.
pub(crate) fn neighbour(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let [first, second] = two_cpus()?;
    let count = effort.pick(3_000_000_u64, 1_000_000);
    let (map, hog) = (place.operator("identity")?, place.guest("flat_map_never_stops_answering")?);
    let calm = place.scratch("calm.toml");
    std::fs::write(&calm, pipeline(&format!("generate = {{ count = {count}, payload_bytes = 128 }}"), &map, ""))?;
    let poison = place.scratch("poison.txt");
    std::fs::write(&poison, "poison\n".repeat(100_000))?;
    let hogging = place.scratch("hog.toml");
    let settings = "on_error = \"skip\"\nresources = { memory = \"40MiB\" }\nlimits = { restarts_in_a_row = 1000000 }";
    let source = format!("file = {{ path = {poison:?}, format = \"lines\" }}");
    std::fs::write(&hogging, pipeline(&source, &hog, settings))?;
    // Compiles both components before the measurement.
    run(place, &calm, first, "thread")?;
    let mut ratios = Vec::new();
    for _ in 0..effort.pick(5, 2) {
        let alone = timed(place, &calm, first)?;
        let mut other = start(place, &hogging, second, "process")?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        if let Some(status) = other.try_wait()? {
            return Err(format!("the pipeline that hogs memory ended with {status}").into());
        }
        let beside = timed(place, &calm, first);
        other.kill()?;
        other.wait()?;
        ratios.push(alone / beside?);
    }
    let name = "a pipeline beside one that is killed for lack of memory / alone";
    Ok(vec![Figure::of(name, "", ratios).target(Target::AtLeast(0.9))])
}

fn pipeline(source: &str, component: &Path, settings: &str) -> String {
    format!(
        r#"
        [[source]]
        name = "in"
        {source}
        [[operator]]
        name = "guest"
        component = {component:?}
        input = "in"
        {settings}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#
    )
}

fn timed(place: &Place, pipeline: &Path, cpu: usize) -> Result<f64, Problem> {
    let begun = Instant::now();
    run(place, pipeline, cpu, "thread")?;
    Ok(begun.elapsed().as_secs_f64())
}

fn run(place: &Place, pipeline: &Path, cpu: usize, isolation: &str) -> Result<(), Problem> {
    require_success(start(place, pipeline, cpu, isolation)?)
}

/// Starts the program on one CPU.
fn start(place: &Place, pipeline: &Path, cpu: usize, isolation: &str) -> Result<Child, Problem> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", &cpu.to_string()])
        .arg(place.program()?)
        .arg("run")
        .arg(pipeline)
        .args(["--quiet", "--log-level", "off", "--isolation", isolation])
        .args(["--cache-folder".as_ref(), place.scratch("cache").as_os_str()])
        .args(["--lease-folder".as_ref(), place.scratch("leases").as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(command.spawn().map_err(|error| format!("taskset: {error}"))?)
}

fn two_cpus() -> Result<[usize; 2], Problem> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let mut cpus = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    match (cpus.next(), cpus.next_back()) {
        (Some(first), Some(last)) => Ok([last, first]),
        _ => Err("this needs two CPUs".into()),
    }
}
