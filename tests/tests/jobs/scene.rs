use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sage_jobs::{
    AliveLock, ControlAnswer, ControlRequest, JobEnd, JobFolder, JobIsolation, JobOrder, JobState, JobStatus, LogLine,
    OrderFolder, VERSION, read_json, write_json,
};
use sage_tests::{cache_folder, guest, in_processes, program};
use serde_json::Value;

/// Timeout after which a test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A job with its folders, and a server's part in it.
pub(crate) struct Scene {
    root: tempfile::TempDir,
    pub(crate) folder: JobFolder,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) isolation: JobIsolation,
    pub(crate) drain_timeout: Duration,
    pub(crate) folders: Vec<OrderFolder>,
    /// Identifier of the job.
    pub(crate) id: String,
    attempt: u32,
}

/// Identifiers of jobs, which no other test uses: control groups have them as names.
fn new_id() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = (u64::from(std::process::id()) << 16) + u64::from(COUNT.fetch_add(1, Ordering::Relaxed));
    let digit = |place: u32| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(number >> (5 * place)) as usize % 32]);
    (0..12).map(digit).chain("test".chars()).collect()
}

impl Scene {
    /// A job of the owner with this pipeline, whose data folder is empty.
    pub(crate) fn new(pipeline: &str) -> Self {
        let root = tempfile::Builder::new().prefix("sage-job-").tempdir().unwrap();
        let id = new_id();
        let folder = JobFolder::new(root.path().join("jobs").join(&id));
        fs::create_dir_all(folder.revision(1)).unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        fs::write(folder.revision(1).join("pipeline.toml"), pipeline).unwrap();
        let scene = Self {
            root,
            folder,
            tenant: None,
            isolation: if in_processes() { JobIsolation::Process } else { JobIsolation::Thread },
            drain_timeout: Duration::from_secs(30),
            folders: Vec::new(),
            id,
            attempt: 0,
        };
        scene.host_file("");
        scene
    }

    /// Adds lines to the host file.
    pub(crate) fn host_file(&self, more: &str) {
        let (leases, cache) = (self.path("leases"), cache_folder());
        let text = format!("lease_folder = {leases:?}\ncache_folder = {cache:?}\n{more}");
        fs::write(self.path("host.toml"), text).unwrap();
    }

    /// A path below the root of all files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The order of the next attempt.
    pub(crate) fn order(&mut self) -> JobOrder {
        self.attempt += 1;
        JobOrder {
            version: VERSION,
            id: self.id.clone(),
            name: "celsius".to_owned(),
            tenant: self.tenant.map(str::to_owned),
            revision: 1,
            attempt: self.attempt,
            pipeline: self.folder.revision(1).join("pipeline.toml"),
            shown_as: Some("pipeline.toml".into()),
            files: ["map_logs", "map_panics_always"].map(|name| (format!("{name}.wasm"), guest(name))).into(),
            data: self.path("data"),
            host_file: Some(self.path("host.toml")),
            isolation: self.isolation,
            drain_timeout: self.drain_timeout,
            socket: self.path("s"),
            folders: self.folders.clone(),
            connect: Vec::new(),
            models: None,
            signers: None,
            secrets: std::collections::BTreeMap::new(),
            user: None,
            cache: None,
            hard_limits: false,
        }
    }

    /// The command that runs the job, without its lock.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("job").arg(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the next attempt as a server does.
    pub(crate) fn start(&mut self) -> Job<'_> {
        let order = self.order();
        self.start_order(&order)
    }

    /// Starts an attempt.
    pub(crate) fn start_order(&mut self, order: &JobOrder) -> Job<'_> {
        write_json(&self.folder.order(), order).unwrap();
        let lock = AliveLock::take(&self.folder.alive_lock()).unwrap();
        let child = self.command().stdin(lock.hand_over()).spawn().unwrap();
        Job { scene: self, child }
    }

    /// Runs the next attempt to its end.
    pub(crate) fn run(&mut self) -> JobEnd {
        self.start().wait().1
    }

    /// The status, if it is one of the last attempt.
    pub(crate) fn status(&self) -> Option<JobStatus> {
        read_json::<JobStatus>(&self.folder.status()).ok().filter(|status| status.attempt == self.attempt)
    }

    /// The end of the last attempt; `None` if it has none.
    pub(crate) fn end(&self) -> Option<JobEnd> {
        match read_json::<JobEnd>(&self.folder.end()) {
            Ok(end) => Some(end).filter(|end| end.attempt == self.attempt),
            Err(error) if error.is_absent() => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The lines of the log.
    pub(crate) fn log(&self) -> Vec<LogLine> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.folder.logs()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes a file of the data folder.
    pub(crate) fn data(&self, name: &str, content: &str) {
        fs::write(self.path("data").join(name), content).unwrap();
    }

    /// Reads a file of the data folder.
    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("data").join(name)).ok()
    }
}

/// The process of an attempt; killed when dropped.
pub(crate) struct Job<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) child: Child,
}

impl Job<'_> {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until `look` returns a value. The test fails if the process ends first.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Scene) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self.scene) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the job ended before {what}: {ended:?} {:?}\n{}",
                self.scene.end(),
                self.stderr()
            );
            assert!(began.elapsed() < TIMEOUT, "no {what} within {TIMEOUT:?}: {:?}", self.scene.status());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for a state.
    pub(crate) fn until_it_is(&mut self, state: JobState) -> JobStatus {
        self.until("that state", |scene| scene.status().filter(|status| status.state == state))
    }

    /// Waits until a stage has taken in or sent out this number of records, according to the control socket.
    pub(crate) fn until_records(&mut self, stage: &str, records: u64) {
        let socket = self.scene.path("s");
        self.until("these records", |_| {
            let ControlAnswer::Ok(status) = try_ask(&socket, &ControlRequest::Status)? else { return None };
            let status: JobStatus = serde_json::from_value(status).unwrap();
            let found = status.stages.into_iter().find(|found| found.name == stage)?;
            (found.records_in + found.records_out >= records).then_some(())
        });
    }

    /// Asks at the control socket.
    pub(crate) fn ask(&mut self, request: &ControlRequest) -> ControlAnswer {
        let socket = self.scene.path("s");
        self.until("an answer", |_| try_ask(&socket, request))
    }

    /// The answer at the control socket, which must not be an error.
    pub(crate) fn ask_ok(&mut self, request: &ControlRequest) -> Value {
        match self.ask(request) {
            ControlAnswer::Ok(value) => value,
            ControlAnswer::Error(why) => panic!("{request:?}: {why}"),
        }
    }

    /// Waits for the end of the process, which must have written an end.
    pub(crate) fn wait(mut self) -> (ExitStatus, JobEnd) {
        let status = self.gone();
        let end = self.scene.end();
        let end = end.unwrap_or_else(|| panic!("the attempt has no end: {status}\n{}", self.stderr()));
        assert_eq!(status.code(), Some(i32::from(end.exit_code)), "{end:?}");
        // A worker that was being started has the descriptor of the lock until it ends with the job.
        AliveLock::wait(&self.scene.folder.alive_lock()).unwrap();
        assert!(!self.scene.path("s").exists(), "the socket is removed");
        assert!(!self.scene.folder.path().join("end.reserve").exists());
        (status, end)
    }

    /// Waits for the end of the process.
    pub(crate) fn gone(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < TIMEOUT, "the job does not end: {:?}\n{}", self.scene.status(), self.stderr());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.scene.folder.stderr()).unwrap_or_default()
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request. `None` if nobody listens.
pub(crate) fn try_ask(socket: &Path, request: &ControlRequest) -> Option<ControlAnswer> {
    let mut line = serde_json::to_string(request).unwrap();
    line.push('\n');
    try_send(socket, line.as_bytes())
}

/// Sends bytes, and reads the answer. `None` if nobody listens or answers.
pub(crate) fn try_send(socket: &Path, bytes: &[u8]) -> Option<ControlAnswer> {
    let connection = UnixStream::connect(socket).ok()?;
    connection.set_read_timeout(Some(TIMEOUT)).unwrap();
    // The job may refuse the connection before it has read everything.
    let _ = (&connection).write_all(bytes);
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// A pipeline without end, that sends `rate` records each second to `sink`.
pub(crate) fn endless(rate: u64, sink: &str) -> String {
    format!(
        "[[source]]\nname = \"gen\"\ngenerate = {{ rate = {rate} }}\n\
         [[operator]]\nname = \"parse\"\ninput = \"gen\"\ncomponent = \"map_logs.wasm\"\n\
         [[sink]]\nname = \"out\"\ninput = \"parse\"\n{sink}\n"
    )
}

/// A pipeline from `in.txt` through a guest to `out.txt`, both in the data folder.
pub(crate) fn bounded(guest: &str) -> String {
    format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = \"in.txt\" }}\n\
         [[operator]]\nname = \"parse\"\ninput = \"in\"\ncomponent = \"{guest}.wasm\"\n\
         [[sink]]\nname = \"out\"\ninput = \"parse\"\nfile = {{ path = \"out.txt\" }}\n"
    )
}
