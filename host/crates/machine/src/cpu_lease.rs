use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{CpuSet, LockHolder};

/// An exclusive lease of one CPU. Until the lease is dropped, no other sage-host in the scope of the lease
/// folder leases this CPU.
///
/// The owner of the value holds the lease; the kernel ends the lease when the process ends, even by a crash.
/// A lease moves no thread to the CPU: see [`super::pin_current_thread`].
#[derive(Debug)]
#[must_use = "the CPU is free again as soon as the lease is dropped"]
pub struct CpuLease {
    pub(super) cpu: u32,
    /// The lock of the CPU's file. [`super::Mending`] replaces the lock when it makes the file anew.
    pub(super) lock: Mutex<Locked>,
}

impl CpuLease {
    /// The leased CPU.
    #[must_use]
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// The leased CPU as a set, to pin a thread to.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        [self.cpu].into_iter().collect()
    }
}

/// The holder of a CPU, as written by the holder itself. Only for messages: no decision depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Number of the process, in its own PID namespace.
    pub pid: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The operator's name.
    pub operator: String,
    /// Number of the operator's instance.
    pub instance: u32,
}

impl Holder {
    /// A holder for an instance of a pipeline that this process runs.
    #[must_use]
    pub fn here(pipeline: &str, operator: &str, instance: u32) -> Self {
        Self { pid: std::process::id(), pipeline: pipeline.to_owned(), operator: operator.to_owned(), instance }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, pipeline, operator, instance } = self;
        write!(f, "process {pid} (pipeline {pipeline:?}, operator {operator:?}, instance {instance})")
    }
}

/// A CPU that cannot be leased, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldCpu {
    /// The CPU.
    pub cpu: u32,
    /// The holder, as written by the holder itself; `None` if the text cannot be read.
    pub holder: Option<Holder>,
    /// The reason why the CPU cannot be leased.
    pub by: HeldBy,
}

/// The reason why a CPU cannot be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBy {
    /// A lock. The holder is known if the kernel was asked and gave an answer.
    Lock(Option<LockHolder>),
    /// An entry of another user under the name of the CPU's file. Such an entry cannot be locked and is never
    /// followed.
    Entry {
        /// The kind of the entry.
        what: &'static str,
        /// The owner of the entry (user id).
        user: u32,
    },
}

impl HeldCpu {
    /// True if a process holds the CPU exclusively.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        matches!(self.by, HeldBy::Lock(_))
    }
}

impl fmt::Display for HeldCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu;
        match (&self.by, &self.holder) {
            (HeldBy::Entry { what, user }, _) => {
                write!(f, "CPU {cpu} is left out: {what} of user {user} is in the place of its lock file")
            }
            // The file's text comes from its last holder, or from any user who may write to the file. The
            // kernel's answer is reliable.
            (HeldBy::Lock(Some(by)), Some(holder)) if by.pid != holder.pid => {
                write!(f, "CPU {cpu} is locked by {by}, and leased by {holder} as its file says")
            }
            (HeldBy::Lock(_), Some(holder)) => write!(f, "CPU {cpu} is leased by {holder}"),
            (HeldBy::Lock(Some(by)), None) => write!(f, "CPU {cpu} is locked by {by}, which left no name"),
            (HeldBy::Lock(None), None) => write!(f, "CPU {cpu} is leased by a process that left no name"),
        }
    }
}

/// CPUs that one instance asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Number of CPUs.
    pub count: u32,
    /// The holder in whose name the CPUs are leased.
    pub holder: Holder,
}

/// Fewer CPUs are free than were requested. No CPU was leased.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{wanted} CPUs are wanted, {free} {} free", if *.free == 1 { "is" } else { "are" })]
pub struct LeaseRefused {
    /// CPUs that were requested.
    pub wanted: u32,
    /// CPUs that could be leased: allowed, not held, and not reserved.
    pub free: u32,
    /// CPUs that cannot be leased, with the reasons.
    pub held: Vec<HeldCpu>,
    /// CPUs that stay unleased, for threads without a lease.
    pub reserved: u32,
}

/// A file lock of the kernel (flock), released on drop. The drop releases the lock explicitly and does not
/// rely on closing the file: a forked child process that has not reached its exec yet shares the descriptor
/// and would keep the lock.
#[derive(Debug)]
pub(super) struct Locked(OwnedFd);

impl Locked {
    /// Tries to take the lock without waiting. Gives the file back if another process or thread holds the
    /// lock.
    pub(super) fn now(file: OwnedFd, how: Hold) -> Result<Result<Self, OwnedFd>, Errno> {
        let operation = match how {
            Hold::Alone => FlockOperation::NonBlockingLockExclusive,
            Hold::Together => FlockOperation::NonBlockingLockShared,
        };
        match flock(&file, operation) {
            Ok(()) => Ok(Ok(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(Err(file)),
            Err(cause) => Err(cause),
        }
    }

    pub(super) fn file(&self) -> &OwnedFd {
        &self.0
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // If the unlock fails, closing the descriptor releases the lock.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// The mode of a lock.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hold {
    /// Exclusive: one holder.
    Alone,
    /// Shared: any number of holders, and no exclusive holder.
    Together,
}
