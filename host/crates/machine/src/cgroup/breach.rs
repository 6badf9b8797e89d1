use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::thread::sched_setaffinity;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::super::CpuSet;
use super::forked::{self, Ended};
use super::{CgroupError, Cgroups, Controller, Group, GroupEntry, GroupLimits, Level, WhoseLimit, bounds};
use sage_text::short_size;

/// The result of a limit that was exceeded on purpose and that held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The limited controller.
    pub controller: Controller,
    /// The kernel's reaction: `a process that took 64MiB was killed at 16MiB`.
    pub seen: String,
    /// Duration of the test.
    pub took: Duration,
}

/// The tenant of the test groups. No folder made from a user's name begins with `~`.
const TENANT: &str = "~breach";
const CAP: u64 = 16 << 20;
const WANTED: usize = 64 << 20;
/// A tenth of a CPU, for three of its periods of 20 ms: at least one period begins and ends without remaining
/// quota.
const SHARE: u64 = 1_000;
const SPIN: Duration = Duration::from_millis(60);

impl Cgroups {
    /// Exceeds a limit on purpose and reports the kernel's reaction, as proof that the limit works. A copy of
    /// this process does it, in a group that is removed afterwards. Takes about 60 ms for CPU time, and a few
    /// ms for the others.
    ///
    /// # Errors
    /// [`CgroupError::NoControl`] if the limit is not available; [`CgroupError::NotKept`] if the limit did
    /// not hold; other errors if the test could not be run.
    pub fn breach(&self, controller: Controller) -> Result<Breach, CgroupError> {
        let started = Instant::now();
        let none = GroupLimits::default();
        let tenant = Group::make(&self.tree, None, Level::Tenant, TENANT, &none)?;
        let pipeline = tenant.pipeline("breach", &none)?;
        let in_group = |limits: &GroupLimits| pipeline.instance(controller.name(), 0, limits);
        let seen = match controller {
            Controller::Memory => memory(&in_group(&GroupLimits { memory_max: Some(CAP), ..none })?),
            Controller::Cpu => cpu(&in_group(&GroupLimits { cpu_quota: Some(SHARE), ..none })?),
            Controller::Pids => pids(&in_group(&GroupLimits { pids_max: Some(1), ..none })?),
            Controller::Cpuset => {
                let all = self.cpus();
                let first: CpuSet = all.iter().take(1).collect();
                cpuset(&in_group(&GroupLimits { cpus: Some(first.clone()), ..none })?, &all.without(&first))
            }
        };
        Ok(Breach { controller, seen: seen?, took: started.elapsed() })
    }

    /// The CPUs of the slice.
    fn cpus(&self) -> CpuSet {
        let branch = self.tree.branch_of(Controller::Cpuset);
        branch.and_then(|branch| bounds::cpus_of(branch.version, &branch.slice)).unwrap_or_default()
    }
}

/// The result of a process that could exceed its limit.
const NOT_HELD: Errno = Errno::NOTRECOVERABLE;
/// The result of a process that was refused.
const HELD: Errno = Errno::CANCELED;

fn not_kept(controller: Controller, seen: String) -> CgroupError {
    CgroupError::NotKept { controller, seen }
}

/// Starts a copy of this process that enters a group and then runs `act`, and returns how it ended. A test
/// that could not be run is an error.
///
/// # Safety
/// The same as for [`forked::run`].
unsafe fn run(group: &Group, controller: Controller, act: fn() -> Errno) -> Result<Ended, CgroupError> {
    let entry = group.entry()?;
    // SAFETY: entering a group only calls write(2); the caller answers for `act`.
    let ended = unsafe { forked::run(move || enter(&entry).err().unwrap_or_else(act)) };
    match ended {
        Ok(Ended::Said(errno)) if errno != HELD && errno != NOT_HELD => {
            Err(CgroupError::Breach { controller, cause: io::Error::from(errno) })
        }
        Ok(ended) => Ok(ended),
        Err(cause) => Err(CgroupError::Breach { controller, cause }),
    }
}

fn enter(entry: &GroupEntry) -> Result<(), Errno> {
    entry.doors.iter().try_for_each(|door| rustix::io::write(door, b"0").map(drop))
}

fn memory(group: &Group) -> Result<String, CgroupError> {
    let watch = group.watch_oom()?;
    // SAFETY: `hoard` only calls mmap(2), and writes to the memory that it got.
    let ended = unsafe { run(group, Controller::Memory, hoard) }?;
    let (wanted, cap) = (short_size(u64::try_from(WANTED).unwrap_or(u64::MAX)), short_size(CAP));
    match (ended, watch.culprit()) {
        (Ended::Killed(_), Some(culprit)) if culprit.whose == WhoseLimit::Level(Level::Instance) => {
            Ok(format!("a process that took {wanted} was killed at {cap}, and the kernel says by whose limit"))
        }
        (Ended::Killed(_), _) => Ok(format!("a process that took {wanted} under a cap of {cap} was killed")),
        (Ended::Said(_), _) => {
            Err(not_kept(Controller::Memory, format!("a process took {wanted} under a cap of {cap}")))
        }
    }
}

/// Takes memory and writes to each page of it.
fn hoard() -> Errno {
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let mapped =
        unsafe { mmap_anonymous(std::ptr::null_mut(), WANTED, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
    let start = match mapped {
        Ok(start) => start.cast::<u8>(),
        Err(errno) => return errno,
    };
    for offset in (0..WANTED).step_by(4096) {
        // SAFETY: within the mapping, which no other code uses; volatile, because the value is never read.
        unsafe { start.add(offset).write_volatile(1) };
    }
    NOT_HELD
}

fn cpu(group: &Group) -> Result<String, CgroupError> {
    // SAFETY: `spin` only reads a clock.
    unsafe { run(group, Controller::Cpu, spin) }?;
    let reading = group.reading();
    match (reading.throttled_periods, reading.periods) {
        (Some(throttled), Some(periods)) if throttled > 0 => {
            Ok(format!("a process that span with 0.1 of a CPU stood still in {throttled} of {periods} periods"))
        }
        _ => {
            Err(not_kept(Controller::Cpu, format!("a process span for {} ms and never stood still", SPIN.as_millis())))
        }
    }
}

fn spin() -> Errno {
    let now = || clock_gettime(ClockId::Monotonic);
    let nanoseconds = |time: rustix::time::Timespec| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    let started = nanoseconds(now());
    while nanoseconds(now()) - started < i128::try_from(SPIN.as_nanos()).unwrap_or(0) {}
    HELD
}

fn pids(group: &Group) -> Result<String, CgroupError> {
    // SAFETY: `fork` only calls fork(2), _exit(2) and waitpid(2).
    match unsafe { run(group, Controller::Pids, fork) }? {
        Ended::Said(HELD) => Ok("a process that was alone in its limit could not fork".to_owned()),
        _ => Err(not_kept(Controller::Pids, "a process that was to be alone could fork".to_owned())),
    }
}

fn fork() -> Errno {
    // SAFETY: the new process only ends. rustix has no fork, and the library's Command cannot be used between
    // fork and exec.
    match unsafe { libc::fork() } {
        // SAFETY: ends the new process at once, without exit handlers.
        0 => unsafe { libc::_exit(0) },
        -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN) => HELD,
        -1 => Errno::IO,
        child => {
            // SAFETY: waits for a child of this process and passes no status pointer.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            NOT_HELD
        }
    }
}

fn cpuset(group: &Group, others: &CpuSet) -> Result<String, CgroupError> {
    if others.is_empty() {
        return Ok("there is one CPU only, so there was nothing to break".to_owned());
    }
    let entry = group.entry()?;
    let others = others.to_kernel();
    let flee = move || match enter(&entry).and_then(|()| sched_setaffinity(None, &others)) {
        Err(Errno::INVAL) => HELD,
        Err(errno) => errno,
        Ok(()) => NOT_HELD,
    };
    // SAFETY: `flee` only calls write(2) and sched_setaffinity(2).
    match unsafe { forked::run(flee) } {
        Ok(Ended::Said(HELD)) => Ok("a process could not leave the CPU that it was given".to_owned()),
        Ok(Ended::Said(NOT_HELD) | Ended::Killed(_)) => {
            Err(not_kept(Controller::Cpuset, "a process could leave the CPU that it was given".to_owned()))
        }
        Ok(Ended::Said(errno)) => {
            Err(CgroupError::Breach { controller: Controller::Cpuset, cause: io::Error::from(errno) })
        }
        Err(cause) => Err(CgroupError::Breach { controller: Controller::Cpuset, cause }),
    }
}
