use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, SendError, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::FdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};

use super::mapping::{bounded, sealed};
use sage_machine::CpuSet;

/// Starts worker processes on one dedicated thread that lives as long as this value. The kernel kills a worker
/// when the *thread* that started it ends. Workers therefore die with the host, even if the host is killed.
#[derive(Debug)]
pub struct Spawner {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// The program, setup, environment and descriptors of a new worker process.
#[derive(Debug)]
pub struct Launch {
    /// The program file: the executable of this host.
    pub program: PathBuf,
    /// The hidden subcommand of the program.
    pub subcommand: &'static str,
    /// The bytes that the worker reads on its standard input.
    pub order: Vec<u8>,
    /// The complete environment of the worker.
    pub environment: Vec<(&'static str, OsString)>,
    /// Descriptors that the worker inherits under the same numbers.
    pub inherited: Vec<RawFd>,
    /// The initial CPU affinity of all its threads.
    pub cpus: Option<CpuSet>,
    /// Runs in the child between fork and exec, and moves the child into its cgroups.
    pub enter: Option<Enter>,
}

/// The closure must be safe to run in the child of a multi-threaded process: it must not allocate memory and
/// must not take a lock.
pub struct Enter(pub Box<dyn Fn() -> io::Result<()> + Send + Sync>);

impl std::fmt::Debug for Enter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Enter")
    }
}

/// A process that was started.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    /// Becomes readable when the process has ended.
    pub process: OwnedFd,
    /// The standard error of the process.
    pub last_words: OwnedFd,
}

type Reply = io::Result<Started>;

#[derive(Debug)]
struct Request {
    launch: Launch,
    reply: SyncSender<Reply>,
}

/// Maximum bytes of a worker's standard error that are kept.
const LAST_WORDS: usize = 16 << 10;

impl Spawner {
    /// Starts the thread that starts processes.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start() -> io::Result<Self> {
        let (requests, received) = mpsc::channel();
        let thread = thread::Builder::new().name("sage-spawner".to_owned()).spawn(move || serve(&received))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Starts a process. The inherited descriptors must stay open until this function returns.
    pub fn launch(&self, launch: Launch) -> Reply {
        let gone = || io::Error::other("the thread that starts workers has ended");
        let (reply, replied) = mpsc::sync_channel(1);
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Request { launch, reply }).map_err(|_| gone())?;
        replied.recv().map_err(|_| gone())?
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // The thread ends after its last request.
            let _ = thread.join();
        }
    }
}

fn serve(requests: &Receiver<Request>) {
    for Request { launch, reply } in requests {
        if let Err(SendError(Ok(nobodys))) = reply.send(start(launch)) {
            end(nobodys.child);
        }
    }
}

fn start(launch: Launch) -> Reply {
    let Launch { program, subcommand, order, environment, inherited, cpus, enter } = launch;
    let last_words = bounded("sage-last-words", LAST_WORDS)?;
    let parent = rustix::process::getpid();
    let mut command = Command::new(&program);
    command
        .arg(subcommand)
        .env_clear()
        .envs(environment)
        .current_dir(Path::new("/"))
        .process_group(0)
        .stdin(Stdio::from(sealed("sage-order", &order)?))
        .stdout(Stdio::null())
        .stderr(Stdio::from(last_words.try_clone()?));
    // SAFETY: the closure only makes system calls on memory that was allocated before the fork. It does not
    // allocate, lock or panic.
    unsafe {
        command.pre_exec(move || prepare(parent, &inherited, cpus.as_ref(), enter.as_ref()));
    }
    let child = command.spawn()?;
    let process = Pid::from_child(&child);
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(process) => Ok(Started { child, process, last_words }),
        Err(error) => {
            end(child);
            Err(error.into())
        }
    }
}

/// Runs in the child before the exec of the worker.
fn prepare(parent: Pid, inherited: &[RawFd], cpus: Option<&CpuSet>, enter: Option<&Enter>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // The host died before the parent-death signal was set.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    if let Some(Enter(enter)) = enter {
        enter()?;
    }
    if let Some(cpus) = cpus {
        rustix::thread::sched_setaffinity(None, &cpus.to_kernel())?;
    }
    for &descriptor in inherited {
        // SAFETY: the caller of `launch` keeps the descriptor open until the launch has ended.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    Ok(())
}

/// Longest wait for a killed process. Only a process that waits in the kernel takes longer, for a disk or a file system
/// that does not answer.
const LONGEST_END: Duration = Duration::from_secs(1);

/// Kills a process and reaps it. A process that does not end within a second is left to a thread that reaps it, which is
/// returned.
pub fn end(mut child: Child) -> Option<JoinHandle<()>> {
    // A failed kill means that the process has ended already.
    let _ = child.kill();
    let deadline = Instant::now() + LONGEST_END;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok()?;
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let id = child.id();
            tracing::warn!(process = id, "a killed process waits in the kernel for a file system and is left behind");
            return thread::Builder::new().name("sage-reaper".to_owned()).spawn(move || drop(child.wait())).ok();
        }
        let timeout = Timespec::try_from(left).ok();
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], timeout.as_ref());
    }
    None
}
