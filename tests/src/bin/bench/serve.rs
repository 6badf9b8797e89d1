use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sage_jobs::{JobIsolation, VERSION};
use sage_serve::api::Client;
use sage_serve::server::{JobDetail, JobPage};
use sage_serve::state::{Desired, Job, Outcome, RestartPolicy, State};
use sage_serve::store::{FileStore, JobFiles, JobId, JobName, JobSpec, NewJob, Revision, StateFolder};
use serde_json::{Value, json};

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// A server of the program, killed at the end.
pub(crate) struct Serving {
    child: Child,
    pub(crate) socket: PathBuf,
    /// From the start of the program to its saying that it is ready.
    start: Duration,
}

impl Serving {
    pub(crate) fn start(place: &Place, folder: &Path) -> Result<Self, Problem> {
        Self::start_with(place, folder, "")
    }

    /// The same with more in its host file.
    pub(crate) fn start_with(place: &Place, folder: &Path, more: &str) -> Result<Self, Problem> {
        let socket = folder.join("s");
        let host = folder.join("host.toml");
        fs::write(
            &host,
            format!("lease_folder = {:?}\ncache_folder = {:?}\n{more}", folder.join("leases"), place.scratch("cache")),
        )?;
        let begun = Instant::now();
        let mut child = Command::new(place.program()?)
            .args(["serve", "--listen", "off", "--output", "json", "--log-level", "error", "--stop-jobs", "drain"])
            .args([Path::new("--state"), &folder.join("state"), Path::new("--socket"), &socket])
            .args([Path::new("--host"), &host])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no pipe to the server")?).read_line(&mut line)?;
        let start = begun.elapsed();
        if !line.contains("\"socket\"") {
            return Err(format!("the server did not start: {line}").into());
        }
        Ok(Self { child, socket, start })
    }

    /// Number of the server's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Result<Client, Problem> {
        Ok(Client::new(&self.socket)?)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Jobs would go on without it.
        let of_server = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(of_server).unwrap_or_default();
        let _ = self.child.kill();
        for job in children.split_whitespace().filter_map(|job| Pid::from_raw(job.parse().ok()?)) {
            let _ = kill_process(job, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Time from the request that submits a pipeline to the first record that its source gave. The component is compiled
/// and was uploaded.
pub(crate) fn submit(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let folder = tempfile::Builder::new().prefix("sb-").tempdir()?;
    let serving = Serving::start(place, folder.path())?;
    let client = serving.client()?;
    let map = fs::read(place.operator("identity")?)?;
    let digest = sage_serve::store::Digest::of(&map);
    client.json::<Value>("PUT", &format!("/v1/components/{digest}"), &[], map)?;
    let pipeline = "[[source]]\nname = \"in\"\ngenerate = { rate = 100000 }\n\
        [[operator]]\nname = \"map\"\ninput = \"in\"\ncomponent = \"identity.wasm\"\n\
        [[sink]]\nname = \"out\"\ninput = \"map\"\ndiscard = {}\n";
    let mut rounds = Vec::new();
    // The first round compiles the component.
    for round in 0..=effort.pick(15, 5) {
        let name = format!("round-{round}");
        let files = json!({ "identity.wasm": digest });
        let body = json!({ "name": name, "pipeline": pipeline, "path": folder.path().join("p.toml"), "files": files });
        let begun = Instant::now();
        let _: JobDetail = client.post("/v1/jobs", &body)?;
        let until = begun + Duration::from_secs(60);
        loop {
            let status = client.get::<Value>(&format!("/v1/jobs/{name}/status"));
            if status.is_ok_and(|status| status["stages"][0]["records_out"].as_u64() > Some(0)) {
                break;
            }
            if Instant::now() > until {
                return Err(format!("{name} gave no record").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if round > 0 {
            rounds.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let _: JobDetail = client.post(&format!("/v1/jobs/{name}/stop"), &json!({ "mode": "abort" }))?;
        while client.get::<JobDetail>(&format!("/v1/jobs/{name}"))?.row.exit_code.is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(vec![Figure::of("submit to the server to the first record", "ms", rounds).target(Target::AtMost(150.0))])
}

/// The list of 1,000 jobs, and the start of a server that has them.
pub(crate) fn list(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let folder = tempfile::Builder::new().prefix("sb-").tempdir()?;
    let jobs = 1000;
    fill(&folder.path().join("state"), jobs)?;
    let (mut starts, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..effort.pick(5, 2) {
        let serving = Serving::start(place, folder.path())?;
        starts.push(serving.start.as_secs_f64() * 1e3);
        for _ in 0..effort.pick(10, 5) {
            let begun = Instant::now();
            let output = Command::new(place.program()?)
                .args(["ps", "-a", "--output", "json", "--socket"])
                .arg(&serving.socket)
                .output()?;
            let taken = begun.elapsed();
            let listed: JobPage = serde_json::from_slice(&output.stdout)?;
            if listed.jobs.len() != jobs {
                return Err(format!("{} of {jobs} jobs were listed", listed.jobs.len()).into());
            }
            lists.push(taken.as_secs_f64() * 1e3);
        }
    }
    Ok(vec![
        Figure::of("ps of 1,000 jobs", "ms", lists).target(Target::AtMost(50.0)),
        Figure::of("start of a server with 1,000 jobs", "ms", starts).target(Target::AtMost(1000.0)),
    ])
}

/// Makes the folders of jobs that have ended.
fn fill(state: &Path, jobs: usize) -> Result<(), Problem> {
    let state = StateFolder::open(state)?;
    let folders = JobFiles::new(&state, &FileStore::open(&state)?);
    for number in 0..jobs {
        let name: JobName = format!("job-{number}").parse()?;
        let spec = JobSpec {
            version: VERSION,
            id: JobId::random()?,
            name,
            tenant: None,
            created: number as u64,
            revision: 1,
            shown_as: None,
            data: "/".into(),
            files: BTreeMap::new(),
            isolation: JobIsolation::Thread,
            labels: BTreeMap::new(),
            idempotency: None,
        };
        let ended = State::Ended { outcome: Outcome::Completed, exit_code: 0 };
        let job = Job::submitted(RestartPolicy::default(), 30_000, 0);
        let job = Job { state: ended, desired: Desired::Stopped, deadline: None, attempt: 1, ..job };
        let revision = Revision::of(&spec, b"", String::new(), None, None);
        folders.create(&NewJob { spec, job, pipeline: Vec::new(), revision })?;
    }
    Ok(())
}
