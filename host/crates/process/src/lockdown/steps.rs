use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::RawFd;
use std::os::unix::net::UnixDatagram;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::thread::{SecureComputingMode, no_new_privs, secure_computing_mode};
use serde::Serialize;

use super::calls::Calls;
use super::error::LockdownError;
use super::fence::Device;
use super::rlimits::ProcessLimits;
use super::{capabilities, descriptors, fence, filter};
use sage_plan::FolderGrant;

/// What a process keeps; it gives up the rest.
#[derive(Debug, Clone)]
pub struct Lockdown {
    /// What it is for.
    pub purpose: Purpose,
    /// The descriptors it keeps, standard streams among them.
    pub keep: Vec<RawFd>,
    /// Folders its guests are granted.
    pub folders: Vec<FolderGrant>,
    /// Addresses its guests may connect to. The kernel holds it to their ports, the sandbox to the addresses.
    pub connect: Vec<SocketAddr>,
    /// What it may take.
    pub limits: ProcessLimits,
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Running guests whose components are loaded by the time of [`Fenced::after_setup`]: no executable memory can be made.
    Run,
    /// Compiling one component: as to run, but executable memory can be made until [`forbid_new_code`](super::forbid_new_code), and no
    /// shared memory and no files in memory, which `RLIMIT_DATA` does not count.
    Compile,
    /// Running models on the CPU: as to run, but until the second step all files that its user can may be read (and none written), so that a
    /// library can be opened, which starts threads of its own. From then on none can be opened.
    Infer,
    /// Driving a device through a library and a driver of its maker's, whose files, devices and system calls nobody can list. Everything is allowed
    /// but what is named here: it starts no programs and no processes, looks into no others, makes no sockets but local ones, and changes
    /// nothing of the system (mounts, namespaces, modules, keys, `io_uring`). It reads all files that its user can; it writes to device files and
    /// shared memory (`/dev`), and nowhere else, where the kernel has landlock. `/proc` is readable, and so is what a driver keeps
    /// there of other processes of the same user. Not tried with a driver yet.
    Drive,
}

/// A process between the two steps: without files, network, capabilities and foreign descriptors, but with all system calls.
#[derive(Debug)]
#[must_use = "system calls are not filtered yet"]
pub struct Fenced {
    calls: Calls,
    landlock: u32,
    missing: Vec<Missing>,
}

impl Lockdown {
    /// The first step, for a process that has one thread: from here on it, and every thread it makes, reaches no file, no TCP
    /// port, no other process and no descriptor but those named. Loading code still works.
    ///
    /// Every descriptor that is not named is closed: nothing in the process may own one, or it would find another file behind it.
    ///
    /// # Errors
    /// There are other threads already; a granted folder cannot be opened; the kernel refuses a step. The process must
    /// end then: some steps are taken.
    pub fn before_threads(&self) -> Result<Fenced, LockdownError> {
        let count = threads().map_err(LockdownError::step("count its threads"))?;
        if count != 1 {
            return Err(LockdownError::ThreadsRunning { count });
        }
        descriptors::close_all_but(&self.keep)?;
        // Before the capabilities go: a granted folder may lie where only they lead.
        let drives = self.purpose == Purpose::Drive;
        let device = match self.purpose {
            Purpose::Run | Purpose::Compile => None,
            Purpose::Infer => Some(Device::Cpu),
            Purpose::Drive => Some(Device::Driven),
        };
        let (landlock, missing) = fence::raise(&self.folders, &self.connect, device)?;
        self.limits.impose()?;
        capabilities::drop_all()?;
        let calls = Calls {
            process: std::process::id(),
            files: !self.folders.is_empty(),
            writes: self.folders.iter().any(|folder| folder.write),
            tcp: !self.connect.is_empty(),
            compiles: self.purpose == Purpose::Compile,
            drives,
        };
        Ok(Fenced { calls, landlock, missing })
    }

    /// Both steps at once, for a process that has nothing to set up in between.
    ///
    /// # Errors
    /// As the two.
    pub fn apply(&self) -> Result<LockdownReport, LockdownError> {
        self.before_threads()?.after_setup()
    }
}

impl Fenced {
    /// The second step: from here on every thread makes only the system calls that guests need. What should hold now is
    /// read back or tried.
    ///
    /// # Errors
    /// The kernel refuses the filter, or something that should hold does not. The process must end then.
    pub fn after_setup(self) -> Result<LockdownReport, LockdownError> {
        filter::install(&self.calls)?;
        let holding = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(LockdownError::NotHolding { what: what.to_owned() }) }
        };
        holding(no_new_privs().map_err(LockdownError::step("read no_new_privs"))?, "can gain privileges")?;
        holding(capabilities::all_dropped()?, "has capabilities")?;
        let mode = secure_computing_mode().map_err(LockdownError::step("read its filter mode"))?;
        holding(mode == SecureComputingMode::Filter, "makes any system call")?;
        // Local sockets are a driver's own way to other parts of itself.
        let socket =
            if self.calls.drives { TcpListener::bind(("127.0.0.1", 0)).err() } else { UnixDatagram::unbound().err() };
        let refused = socket.and_then(|error| error.raw_os_error()) == Some(Errno::PERM.raw_os_error());
        holding(refused, "makes sockets")?;
        let opened = open("/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        holding(!self.fences_files() || matches!(opened, Err(Errno::PERM | Errno::ACCESS)), "reads the root folder")?;
        Ok(LockdownReport { landlock: self.landlock, missing: self.missing })
    }

    /// Whether opening a file must fail, unless it was granted.
    fn fences_files(&self) -> bool {
        !self.calls.drives && (!self.calls.files || self.landlock > 0)
    }
}

/// What holds for a process after its lockdown, beside what always does: no new privileges, no capabilities, only the system
/// calls that guests need, none of the descriptors it was not given, its resource limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockdownReport {
    /// The kernel's version of landlock; 0 if it has none.
    pub landlock: u32,
    /// What this kernel cannot do.
    pub missing: Vec<Missing>,
}

/// A part of the lockdown that needs a newer kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Files beyond the granted folders are kept away by the sandbox and the user's rights only, where folders are granted at all (Linux
    /// 5.13 and landlock enabled).
    FileFence,
    /// A file in a folder granted for reading could be emptied by a path (Linux 6.2).
    TruncateFence,
    /// TCP beyond the granted ports is kept away by the sandbox only, where addresses are granted at all (Linux 6.7).
    TcpFence,
    /// Signals to other processes are kept away by the filter of system calls only (Linux 6.12).
    SignalFence,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileFence => "the kernel does not fence off files (needs Linux 5.13 with landlock)",
            Self::TruncateFence => "the kernel does not fence off truncation (needs Linux 6.2 with landlock)",
            Self::TcpFence => "the kernel does not fence off TCP ports (needs Linux 6.7 with landlock)",
            Self::SignalFence => "the kernel does not fence off signals (needs Linux 6.12 with landlock)",
        })
    }
}

fn threads() -> io::Result<usize> {
    std::fs::read_dir("/proc/self/task")?.try_fold(0, |count, entry| entry.map(|_| count + 1))
}
