use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, SendError, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use rustix::fd::BorrowedFd;
use rustix::io::FdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};

use super::mapping::{bounded, sealed};
use sage_machine::CpuSet;

/// Starts worker processes, on one thread that lives as long as this: the kernel ends a worker when the *thread* that started it
/// ends, which is how workers die with the host, also when it is killed.
#[derive(Debug)]
pub struct Spawner {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// What a worker process is started with.
#[derive(Debug)]
pub struct Launch {
    /// The program: this one.
    pub program: PathBuf,
    /// Its hidden subcommand.
    pub subcommand: &'static str,
    /// What it reads on its standard input.
    pub order: Vec<u8>,
    /// All that its environment has.
    pub environment: Vec<(&'static str, OsString)>,
    /// Descriptors that it inherits under the same numbers.
    pub inherited: Vec<RawFd>,
    /// Where all of its threads may run at first.
    pub cpus: Option<CpuSet>,
    /// Runs in the child between fork and exec: puts it into its groups.
    pub enter: Option<Enter>,
}

/// Must be safe to run in a process that was forked from one with threads: no allocation, no locks.
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
    /// Readable once it has ended.
    pub process: OwnedFd,
    /// What it wrote to its standard error.
    pub last_words: OwnedFd,
}

type Reply = io::Result<Started>;

#[derive(Debug)]
struct Request {
    launch: Launch,
    reply: SyncSender<Reply>,
}

/// The most of a worker's standard error that is kept.
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

    /// Starts a process. Its descriptors must stay open until this returns.
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
            // It ends with its last request.
            let _ = thread.join();
        }
    }
}

fn serve(requests: &Receiver<Request>) {
    for Request { launch, reply } in requests {
        if let Err(SendError(Ok(mut nobodys))) = reply.send(start(launch)) {
            end(&mut nobodys.child);
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
    // SAFETY: the closure only makes system calls on memory that was made before the fork: no allocation, no lock, no panic.
    unsafe {
        command.pre_exec(move || prepare(parent, &inherited, cpus.as_ref(), enter.as_ref()));
    }
    let mut child = command.spawn()?;
    let process = Pid::from_child(&child);
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(process) => Ok(Started { child, process, last_words }),
        Err(error) => {
            end(&mut child);
            Err(error.into())
        }
    }
}

/// In the child, before it becomes the worker.
fn prepare(parent: Pid, inherited: &[RawFd], cpus: Option<&CpuSet>, enter: Option<&Enter>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // The host died before it could be said that we die with it.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    if let Some(Enter(enter)) = enter {
        enter()?;
    }
    if let Some(cpus) = cpus {
        rustix::thread::sched_setaffinity(None, &cpus.to_kernel())?;
    }
    for &descriptor in inherited {
        // SAFETY: whoever launched this keeps the descriptor open until the launch is over.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    Ok(())
}

/// Ends a process and takes note of its end.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
