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
use super::missing::Missing;
use super::rlimits::ProcessLimits;
use super::{capabilities, descriptors, fence, filter};
use sage_plan::FolderGrant;

/// The resources that a process keeps; the process gives up all others.
#[derive(Debug, Clone)]
pub struct Lockdown {
    /// The purpose of the process.
    pub purpose: Purpose,
    /// The descriptors that the process keeps, including the standard streams.
    pub keep: Vec<RawFd>,
    /// Folders that are granted to its guests.
    pub folders: Vec<FolderGrant>,
    /// Addresses to which its guests may connect. The kernel enforces the ports, the sandbox enforces the
    /// addresses.
    pub connect: Vec<SocketAddr>,
    /// The resource limits of the process.
    pub limits: ProcessLimits,
}

/// The purpose of a process, which decides its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Runs guests whose components are loaded before [`Fenced::after_setup`]. Executable memory cannot be made
    /// after it.
    Run,
    /// Compiles one component. The rights are those of `Run` with two differences: executable memory can be
    /// made until [`forbid_new_code`](super::forbid_new_code), and neither shared memory nor memory files can
    /// be made, because `RLIMIT_DATA` does not count them.
    Compile,
    /// Runs models on the CPU. The rights are those of `Run`, but until the second step the process may read
    /// every file that its user may read, and write none. These rights are needed to open a library, which
    /// starts threads of its own. After the second step no file can be opened.
    Infer,
    /// Drives a device through a vendor's library and driver. Their files, devices and system calls cannot be
    /// listed. Everything is allowed except the following. The process starts no programs and no processes,
    /// inspects no other process, makes no sockets except local ones, and changes nothing of the system
    /// (mounts, namespaces, modules, keys, `io_uring`). The process reads every file that its user may read. If
    /// the kernel has landlock, the process writes only to device files and shared memory (`/dev`). `/proc` is
    /// readable, including anything that a driver keeps there about other processes of the same user. Not
    /// tested with a driver yet.
    Drive,
}

/// A process between the two steps, without files, network, capabilities and foreign descriptors, but with
/// every system call.
#[derive(Debug)]
#[must_use = "system calls are not filtered yet"]
pub struct Fenced {
    calls: Calls,
    landlock: u32,
    missing: Vec<Missing>,
}

impl Lockdown {
    /// The first step, for a process with a single thread. From here on the process and all its later threads
    /// reach only the named files, TCP ports, processes and descriptors. The process can still load code.
    ///
    /// Every descriptor that is not named is closed. The process must therefore not own such a descriptor,
    /// because its number may later refer to another file.
    ///
    /// # Errors
    /// Other threads exist already; a granted folder cannot be opened; the kernel refuses a step. The process
    /// must then end, because some steps are taken already.
    pub fn before_threads(&self) -> Result<Fenced, LockdownError> {
        let count = threads().map_err(LockdownError::step("count its threads"))?;
        if count != 1 {
            return Err(LockdownError::ThreadsRunning { count });
        }
        descriptors::close_all_but(&self.keep)?;
        // This step comes before the capabilities are dropped, because a granted folder may only be reachable
        // with them.
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

    /// Both steps at once, for a process that needs no setup between them.
    ///
    /// # Errors
    /// The errors of both steps.
    pub fn apply(&self) -> Result<LockdownReport, LockdownError> {
        self.before_threads()?.after_setup()
    }
}

impl Fenced {
    /// The second step: from here on every thread can make only the system calls that guests need. Each
    /// promised restriction is read back or tested.
    ///
    /// # Errors
    /// The kernel refuses the filter, or a promised restriction does not hold. The process must then end.
    pub fn after_setup(self) -> Result<LockdownReport, LockdownError> {
        filter::install(&self.calls)?;
        let holding = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(LockdownError::NotHolding { what: what.to_owned() }) }
        };
        holding(no_new_privs().map_err(LockdownError::step("read no_new_privs"))?, "can gain privileges")?;
        holding(capabilities::all_dropped()?, "has capabilities")?;
        let mode = secure_computing_mode().map_err(LockdownError::step("read its filter mode"))?;
        holding(mode == SecureComputingMode::Filter, "makes any system call")?;
        // A driver uses local sockets between its own parts.
        let socket =
            if self.calls.drives { TcpListener::bind(("127.0.0.1", 0)).err() } else { UnixDatagram::unbound().err() };
        let refused = socket.and_then(|error| error.raw_os_error()) == Some(Errno::PERM.raw_os_error());
        holding(refused, "makes sockets")?;
        let opened = open("/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        holding(!self.fences_files() || matches!(opened, Err(Errno::PERM | Errno::ACCESS)), "reads the root folder")?;
        Ok(LockdownReport { landlock: self.landlock, missing: self.missing })
    }

    /// Returns `true` if opening a file that was not granted must fail.
    fn fences_files(&self) -> bool {
        !self.calls.drives && (!self.calls.files || self.landlock > 0)
    }
}

/// The result of a lockdown. Some restrictions hold on every kernel: no new privileges, no capabilities, only
/// the system calls that guests need, only the given descriptors, and the resource limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockdownReport {
    /// The kernel's landlock version; 0 if the kernel has no landlock.
    pub landlock: u32,
    /// The restrictions that this kernel cannot enforce.
    pub missing: Vec<Missing>,
}

fn threads() -> io::Result<usize> {
    std::fs::read_dir("/proc/self/task")?.try_fold(0, |count, entry| entry.map(|_| count + 1))
}
