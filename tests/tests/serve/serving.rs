use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process, pidfd_send_signal};
use sage_jobs::{JobFolder, LogLine};
use sage_serve::api::Client;
use sage_serve::process::holder;
use sage_serve::server::JobDetail;
use sage_serve::store::JobEvent;
use sage_test_support::wait_until;
use sage_tests::{cache_folder, program};
use serde_json::Value;

/// A server with its folders. Its end ends the server and all jobs.
pub(crate) struct Serving {
    root: tempfile::TempDir,
    child: Option<Child>,
    tcp: Option<SocketAddr>,
}

/// What a server said when it was ready.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) jobs: u64,
    pub(crate) adopted: u64,
}

impl Serving {
    /// A server that has not started, with this text in its host file.
    pub(crate) fn with_host(host: &str) -> Self {
        let root = tempfile::Builder::new().prefix("sg-").tempdir().unwrap();
        // The users of tenants pass, and list nothing.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let serving = Self { root, child: None, tcp: None };
        let (leases, cache) = (serving.path("leases"), cache_folder());
        let text = format!("lease_folder = {leases:?}\ncache_folder = {cache:?}\n{host}");
        fs::write(serving.path("host.toml"), text).unwrap();
        serving
    }

    /// A server that has started.
    pub(crate) fn started() -> Self {
        let mut serving = Self::with_host("");
        serving.start();
        serving
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("serve.sock")
    }

    /// Where the server listens for TCP.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp.unwrap()
    }

    /// The command that starts the server.
    pub(crate) fn command(&self) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let program = program().to_str().unwrap().to_owned();
        let mut words = vec![program, "serve".to_owned(), "--output".to_owned(), "json".to_owned()];
        words.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
        for (option, path) in [("--state", "state"), ("--socket", "serve.sock"), ("--host", "host.toml")] {
            words.extend([option.to_owned(), text(self.path(path))]);
        }
        words
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&mut self) -> Ready {
        let words = self.command();
        self.start_as(Command::new(&words[0]).args(&words[1..]))
    }

    /// The same with another command that becomes the server.
    pub(crate) fn start_as(&mut self, command: &mut Command) -> Ready {
        self.try_start_as(command).unwrap_or_else(|| panic!("the server did not start: {}", self.log()))
    }

    /// The same for a server that may end before it is ready.
    pub(crate) fn try_start_as(&mut self, command: &mut Command) -> Option<Ready> {
        let log = File::options().append(true).create(true).open(self.path("serve.log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.child = Some(child);
        if line.is_empty() {
            return None;
        }
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}: {}", self.log()));
        let number = |name: &str| said[name].as_u64().unwrap();
        self.tcp = said["tcp"].as_str().map(|address| address.parse().unwrap());
        Some(Ready { jobs: number("jobs"), adopted: number("adopted") })
    }

    /// What the server said on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    /// Number of the server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends a server that may have ended already.
    pub(crate) fn end_of_child(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Ends the server with a signal.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        child.wait().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.socket()).unwrap()
    }

    /// Runs a command of the program against this server.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.args(words).arg("--socket").arg(self.socket());
        // The suite also runs with workers.
        let asks = words.contains(&"--isolation");
        if words.first() == Some(&"submit")
            && !asks
            && std::env::var("SAGE_TEST_ISOLATION").is_ok_and(|isolation| isolation == "process")
        {
            command.args(["--isolation", "process"]);
        }
        command.output().unwrap()
    }

    /// The same for a command that must succeed; returns its standard output.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {out}{err}{}", self.log());
        out.into_owned()
    }

    pub(crate) fn detail(&self, name: &str) -> JobDetail {
        self.client().get(&format!("/v1/jobs/{name}")).unwrap()
    }

    /// Waits until a job is in this state.
    pub(crate) fn until(&self, name: &str, state: &str) -> JobDetail {
        wait_until(&format!("{name} is {state}"), || Some(self.detail(name)).filter(|job| job.row.state == state))
    }

    pub(crate) fn folder(&self, name: &str) -> JobFolder {
        JobFolder::new(self.path("state/jobs").join(self.detail(name).row.id.to_string()))
    }

    /// The process of a job, and the number of it.
    pub(crate) fn process(&self, name: &str) -> OwnedFd {
        let folder = self.folder(name);
        wait_until("the job has a process", || holder(folder.path(), &folder.alive_lock()))
    }

    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        pidfd_send_signal(self.process(name), signal).unwrap();
    }

    pub(crate) fn events(&self, name: &str) -> Vec<JobEvent> {
        let mut events = Vec::new();
        let each = |line: &str| {
            events.push(serde_json::from_str(line).unwrap());
            true
        };
        self.client().lines(&format!("/v1/jobs/{name}/events"), each).unwrap();
        events
    }

    pub(crate) fn job_log(&self, name: &str) -> Vec<LogLine> {
        let mut lines = Vec::new();
        let each = |line: &str| {
            lines.push(serde_json::from_str(line).unwrap());
            true
        };
        self.client().lines(&format!("/v1/jobs/{name}/logs"), each).unwrap();
        lines
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        for job in fs::read_dir(self.path("state/jobs")).into_iter().flatten().flatten() {
            let folder = JobFolder::new(job.path());
            if let Some(process) = holder(folder.path(), &folder.alive_lock()) {
                let _ = pidfd_send_signal(&process, Signal::KILL);
            }
        }
    }
}

/// The user that the first tenant gets.
pub(crate) const FIRST_USER: u32 = 1_900_000_001;

/// A pipeline without an end that does nothing with its records.
pub(crate) const ENDLESS: &str = "\
[[source]]
name = \"in\"
generate = { rate = 1000, payload_bytes = 16 }
[[sink]]
name = \"out\"
input = \"in\"
discard = {}
";

/// A pipeline that writes `count` records to a file beside it, `rate` each second.
pub(crate) fn generating(count: u64, rate: u64, file: &str) -> String {
    format!(
        "[[source]]\nname = \"in\"\ngenerate = {{ count = {count}, rate = {rate}, payload_bytes = 16, seed = 7 }}\n\
         [[sink]]\nname = \"out\"\ninput = \"in\"\nfile = {{ path = \"{file}\" }}\n"
    )
}

/// The text of a path.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
