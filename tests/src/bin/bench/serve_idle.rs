use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sage_serve::server::{JobDetail, JobPage};
use sage_tests::workers_of;
use serde_json::json;

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;
use crate::serve::Serving;

/// Jobs that wait for a record that does not come.
const IDLE: &str = "[[source]]\nname = \"in\"\nfile = { path = \"in.txt\", format = \"lines\" }\n\
                    [[sink]]\nname = \"out\"\ninput = \"in\"\ndiscard = {}\n";
/// Jobs that are submitted before the first of them is waited for.
const AT_ONCE: usize = 16;
/// Ticks of a second in `/proc/PID/stat` (USER_HZ, which Linux never changed).
const TICKS: f64 = 100.0;
/// Longest time until all jobs run.
const PATIENCE: Duration = Duration::from_secs(900);

/// A server with many jobs of as many tenants in threads, and one with jobs in processes of their own, of which none
/// has anything to do: memory and CPU of the server, and CPU of each job.
pub(crate) fn idle(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let threads = measure(place, effort, effort.pick(1000, 50), "thread")?;
    let isolated = measure(place, effort, effort.pick(200, 20), "process")?;
    Ok(threads.into_iter().chain(isolated).collect())
}

fn measure(place: &Place, effort: Effort, jobs: usize, isolation: &str) -> Result<Vec<Figure>, Problem> {
    let folder = tempfile::Builder::new().prefix("sb-").tempdir()?;
    let mut host = String::from("reserve = { memory = \"64MiB\" }\n");
    for number in 0..jobs {
        writeln!(host, "[tenant.t{number}]\nisolation = \"{isolation}\"")?;
    }
    let serving = Serving::start_with(place, folder.path(), &host)?;
    for number in 0..jobs {
        let data = folder.path().join(format!("state/data/t{number}"));
        fs::create_dir_all(&data)?;
        let made = Command::new("mkfifo").arg(data.join("in.txt")).status()?;
        if !made.success() {
            return Err("mkfifo failed".into());
        }
        submit(&serving, folder.path(), number)?;
        if number >= AT_ONCE {
            until_running(&serving, number - AT_ONCE)?;
        }
    }
    for number in 0..jobs {
        until_running(&serving, number)?;
    }
    // What a start leaves to do comes to rest.
    std::thread::sleep(Duration::from_secs(effort.pick(10, 2)));
    let server = serving.process();
    let processes = job_processes(server)?;
    let (mut of_server, mut of_jobs) = (Vec::new(), Vec::new());
    for _ in 0..effort.pick(5, 2) {
        let begun = Instant::now();
        let before = (cpu(server)?, sum(&processes)?);
        std::thread::sleep(Duration::from_secs(effort.pick(5, 2)));
        let seconds = begun.elapsed().as_secs_f64();
        of_server.push((cpu(server)? - before.0) / seconds * 100.0);
        of_jobs.push((sum(&processes)? - before.1) / seconds / jobs as f64 * 1e3);
    }
    let rss = resident(server)?;
    let page: JobPage = serving.client()?.get("/v1/jobs?state=running&limit=200")?;
    if page.jobs.len() != jobs.min(200) {
        return Err(format!("{} of {jobs} jobs run", page.jobs.len()).into());
    }
    let with = format!("{jobs} idle jobs ({isolation})");
    Ok(vec![
        Figure::of(format!("memory of a server with {with}"), "MiB", [rss]).target(Target::AtMost(100.0)),
        Figure::of(format!("CPU of a server with {with}"), "%", of_server).target(Target::AtMost(1.0)),
        Figure::of(format!("CPU of each of {with}"), "ms/s", of_jobs).target(Target::AtMost(0.1)),
    ])
}

fn submit(serving: &Serving, folder: &Path, number: usize) -> Result<(), Problem> {
    let client = serving.client()?.of_tenant(Some(format!("t{number}").parse()?));
    let body = json!({ "name": "idle", "pipeline": IDLE, "path": folder.join("p.toml") });
    let _: JobDetail = client.post("/v1/jobs", &body)?;
    Ok(())
}

fn until_running(serving: &Serving, number: usize) -> Result<(), Problem> {
    let client = serving.client()?.of_tenant(Some(format!("t{number}").parse()?));
    let until = Instant::now() + PATIENCE;
    loop {
        let job: JobDetail = client.get("/v1/jobs/idle")?;
        match job.row.state.as_str() {
            "running" => return Ok(()),
            _ if job.row.exit_code.is_some() || Instant::now() > until => {
                return Err(format!("job {number} is {}: {:?}", job.row.state, job.row.why).into());
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The processes of jobs, which are children of their server, and their workers.
fn job_processes(server: u32) -> Result<Vec<u32>, Problem> {
    let jobs = children(server)?;
    let workers = jobs.iter().flat_map(|job| workers_of(*job)).collect::<Vec<u32>>();
    Ok([jobs, workers].concat())
}

fn children(process: u32) -> Result<Vec<u32>, Problem> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    Ok(children.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

fn sum(processes: &[u32]) -> Result<f64, Problem> {
    processes.iter().map(|process| cpu(*process)).sum()
}

/// Seconds of CPU that all threads of a process have used.
fn cpu(process: u32) -> Result<f64, Problem> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Resident memory of a process in MiB.
fn resident(process: u32) -> Result<f64, Problem> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}

/// The same pipeline by `run` and as a job of a server, in turn: CPU of the whole process.
pub(crate) fn against_run(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let folder = tempfile::Builder::new().prefix("sb-").tempdir()?;
    let serving = Serving::start(place, folder.path())?;
    let component = fs::read(place.operator("identity")?)?;
    fs::write(folder.path().join("identity.wasm"), &component)?;
    let count = effort.pick(10_000_000, 300_000);
    let pipeline = format!(
        "[[source]]\nname = \"in\"\ngenerate = {{ count = {count} }}\n\
         [[operator]]\nname = \"map\"\ninput = \"in\"\ncomponent = \"identity.wasm\"\n\
         [[sink]]\nname = \"out\"\ninput = \"map\"\ndiscard = {{}}\n"
    );
    let path = folder.path().join("p.toml");
    fs::write(&path, pipeline)?;
    let program = place.program()?;
    let mut ratios = Vec::new();
    for round in 0..=effort.pick(7, 3) {
        let host = folder.path().join("host.toml");
        let before = of_children(std::process::id())?;
        succeed(Command::new(&program).args(["run", "--quiet"]).arg(&path).arg("--host").arg(&host))?;
        let run = of_children(std::process::id())? - before;
        let before = of_children(serving.process())?;
        let name = format!("round-{round}");
        let words = ["submit", "--quiet", "--wait", "done", "--name", &name, "--socket"];
        succeed(Command::new(&program).args(words).args([&serving.socket, &path]))?;
        while !children(serving.process())?.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if round > 0 {
            ratios.push((of_children(serving.process())? - before) / run);
        }
    }
    // With the check of the pipeline, which is a process of its own.
    Ok(vec![Figure::of("CPU of a job in the server against `run`", "×", ratios).target(Target::AtMost(1.02))])
}

fn succeed(command: &mut Command) -> Result<(), Problem> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

/// Seconds of CPU of all children of a process that have ended.
fn of_children(process: u32) -> Result<f64, Problem> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").ok_or("no stat")?.1.split(' ').collect();
    let ticks = |at: usize| -> Result<u64, Problem> { Ok(fields.get(at).ok_or("no stat")?.parse()?) };
    Ok((ticks(13)? + ticks(14)?) as f64 / TICKS)
}
