use std::ffi::OsStr;
use std::io::{PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::made::profile_folder;
use crate::{Outcome, Surroundings, program};

/// Timeout after which a run is killed and the test fails: ten times the slowest run on two busy CPUs.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A folder with a pipeline and all its files; removed when dropped.
#[derive(Debug)]
pub struct Scenario {
    root: tempfile::TempDir,
    /// Folder of the pipeline: the root, or a folder below it.
    folder: PathBuf,
    leases: PathBuf,
}

/// Environment variable with the isolation of every run of these tests: `thread` or `process`.
const ISOLATION: &str = "SAGE_TEST_ISOLATION";

impl Scenario {
    /// A scenario with an empty folder.
    #[allow(clippy::new_without_default, reason = "it touches the disk")]
    pub fn new() -> Self {
        Self::below("")
    }

    /// A scenario whose pipeline is in the folder `name` below the root of its files, like the pipelines of a
    /// repository. Paths of the pipeline may begin with `..` then.
    pub fn below(name: &str) -> Self {
        let root = tempfile::Builder::new().prefix("sage-scenario-").tempdir().expect("a temporary folder");
        let folder = root.path().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let leases = folder.join("leases");
        Self { root, folder, leases }
    }

    /// Makes a link in the root of its files to a file or folder outside.
    pub fn link_in_root(&self, name: &str, to: &Path) {
        std::os::unix::fs::symlink(to, self.root.path().join(name)).unwrap();
    }

    /// Uses the lease folder of another scenario, as programs on one machine do.
    pub fn sharing_leases_of(self, other: &Self) -> Self {
        Self { leases: other.leases.clone(), ..self }
    }

    /// Lease folder of its runs.
    pub fn leases(&self) -> &Path {
        &self.leases
    }

    /// Path of the pipeline's folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file, and makes the folders above it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes `pipeline.toml`.
    pub fn pipeline(&self, toml: &str) -> &Self {
        if in_processes() {
            self.file("pipeline.toml", with_room_for_workers(toml));
        } else {
            self.file("pipeline.toml", toml);
        }
        self
    }

    /// The text of a file; `None` if it does not exist.
    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read(self.path().join(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The lines of a file that must exist.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = self.read(name).unwrap_or_else(|| panic!("{name} was not written"));
        text.lines().map(str::to_owned).collect()
    }

    /// Runs the pipeline to its end.
    pub fn run(&self) -> Outcome {
        self.run_with([] as [&str; 0])
    }

    /// Runs the pipeline to its end, with further arguments.
    pub fn run_with<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.start_with(arguments).wait()
    }

    /// Starts the pipeline.
    pub fn start(&self) -> Running {
        self.start_with([] as [&str; 0])
    }

    /// Starts the pipeline with further arguments.
    pub fn start_with<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        self.spawn(self.command("run").args(["--quiet", "--output", "json"]).args(arguments), None)
    }

    /// Starts the pipeline with a pipe as its standard input, and with further arguments.
    pub fn start_reading<A: AsRef<OsStr>>(&self, input: PipeReader, arguments: impl IntoIterator<Item = A>) -> Running {
        let mut command = self.command("run");
        command.args(["--quiet", "--output", "json"]).args(arguments).stdin(input);
        self.spawned(&mut command)
    }

    /// Runs the pipeline to its end with `input` on standard input.
    pub fn run_fed(&self, input: &[u8]) -> Outcome {
        self.run_fed_with(Some(input.to_vec()), [] as [&str; 0])
    }

    /// Runs the pipeline to its end with `input`, if any, on standard input, and with further arguments.
    pub fn run_fed_with<A: AsRef<OsStr>>(
        &self,
        input: Option<Vec<u8>>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Outcome {
        self.spawn(self.command("run").args(["--quiet", "--output", "json"]).args(arguments), input).wait()
    }

    /// The command `sage-host run pipeline.toml` (or `validate`) in this folder, with the folders of a test.
    pub fn command(&self, what: &str) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.path()).args([what, "pipeline.toml"]);
        command.arg("--lease-folder").arg(&self.leases).arg("--cache-folder").arg(cache_folder());
        command.env_remove("RUST_LOG").env("NO_COLOR", "1");
        if let Some(isolation) = std::env::var_os(ISOLATION).filter(|_| what == "run") {
            command.arg("--isolation").arg(isolation);
        }
        command
    }

    /// Starts the pipeline in a control group, with further arguments.
    pub fn start_in<A: AsRef<OsStr>>(
        &self,
        surroundings: &Surroundings,
        arguments: impl IntoIterator<Item = A>,
    ) -> Running {
        let mut command = self.command("run");
        command.args(["--quiet", "--output", "json"]).args(arguments);
        self.spawn(&mut surroundings.around(&command), None)
    }

    /// Runs another command to its end and returns its results like those of a run.
    pub fn run_command(&self, command: &mut Command) -> Outcome {
        self.spawn(command, None).wait()
    }

    /// Starts a command.
    pub fn start_command(&self, command: &mut Command) -> Running {
        self.spawn(command, None)
    }

    fn spawn(&self, command: &mut Command, input: Option<Vec<u8>>) -> Running {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut running = self.spawned(command.stdin(stdin));
        if let (Some(input), Some(mut stdin)) = (input, running.child.stdin.take()) {
            // This thread ends by itself: the pipe breaks when the child ends.
            std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
        }
        running
    }

    fn spawned(&self, command: &mut Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start sage-host: {e}"));
        Running {
            stdout: Some(drain(child.stdout.take().unwrap())),
            stderr: Some(drain(child.stderr.take().unwrap())),
            child,
            folder: self.path().to_owned(),
            started: Instant::now(),
        }
    }
}

/// Whether every run of these tests uses worker processes.
pub fn in_processes() -> bool {
    std::env::var_os(ISOLATION).is_some_and(|isolation| isolation == "process")
}

/// Adds 16 MiB to each `memory` in `toml`. With process isolation the limit covers the whole worker process,
/// so the guests then have as much as in threads.
fn with_room_for_workers(toml: &str) -> String {
    const KEY: &str = "memory = \"";
    let mut pieces = toml.split(KEY);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(KEY);
        match piece.split_once("MiB\"").map(|(size, rest)| (size.parse::<u64>(), rest)) {
            Some((Ok(size), rest)) => out.push_str(&format!("{}MiB\"{rest}", size + 16)),
            _ => out.push_str(piece),
        }
    }
    out
}

/// Cache of compiled components. All tests of a build share it, as all runs of a machine do.
pub fn cache_folder() -> PathBuf {
    profile_folder().join("test-compile-cache")
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    folder: PathBuf,
    started: Instant,
}

impl Running {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Stops the process with SIGSTOP at a moment at which it does not hold the lock of `folder`. A process
    /// that stops with the lock of a lease folder keeps every other run out until it goes on.
    ///
    /// Processes of the host only try that lock, so none of them receives it while it is held here.
    pub fn stop_without_the_lock_of(&self, folder: &Path) {
        let folder = std::fs::File::open(folder).unwrap();
        rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).unwrap();
        self.signal(rustix::process::Signal::STOP);
        while !self.threads_are_stopped() {
            std::thread::yield_now();
        }
    }

    fn threads_are_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        threads.map(|thread| thread.unwrap().path().join("stat")).all(|stat| {
            // A thread that has ended in the meantime has no file.
            let stat = std::fs::read_to_string(stat).unwrap_or_else(|_| ") T".to_owned());
            stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
        })
    }

    /// Waits until `look` returns a value. The test fails if the run ends first.
    pub fn until<T>(&mut self, what: &str, look: impl FnMut(u32) -> Option<T>) -> T {
        self.while_it_runs(look).unwrap_or_else(|| {
            let outcome = self.collect();
            panic!("the run ended before {what}\n{outcome:?}");
        })
    }

    /// Waits until `look` returns a value; `None` if the run ended before, which a short run may do between
    /// two calls of `look`.
    pub fn while_it_runs<T>(&mut self, mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = look(self.child.id()) {
                return Some(found);
            }
            if self.child.try_wait().unwrap().is_some() || self.started.elapsed() > TIMEOUT {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end. A run that does not end is killed, and the test fails.
    pub fn wait(mut self) -> Outcome {
        while self.child.try_wait().unwrap().is_none() {
            if self.started.elapsed() > TIMEOUT {
                let _ = self.child.kill();
                let outcome = self.collect();
                panic!("the run did not end within {TIMEOUT:?}\n{outcome:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.collect()
    }

    /// Waits for the end. Returns `true` if SIGKILL ended the run.
    pub fn was_killed(mut self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.wait().unwrap().signal() == Some(rustix::process::Signal::KILL.as_raw())
    }

    /// Waits for the end of a run that is ended by a signal.
    pub fn gone(mut self) {
        self.child.wait().unwrap();
    }

    fn collect(&mut self) -> Outcome {
        let status = self.child.wait().unwrap();
        let text = |reader: &mut Option<JoinHandle<Vec<u8>>>| {
            let bytes = reader.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome::new(status, text(&mut self.stdout), text(&mut self.stderr), self.folder.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
