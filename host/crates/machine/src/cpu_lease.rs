use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{CpuSet, LockHolder};

/// A CPU that no other sage-host of the lease folder's scope gives to anybody, until this is dropped.
///
/// Owned by whoever holds the value; the kernel takes it back when the process ends, however it ends. It says whose the CPU
/// is and moves no thread there: see [`super::pin_current_thread`].
#[derive(Debug)]
#[must_use = "the CPU is free again as soon as the lease is dropped"]
pub struct CpuLease {
    pub(super) cpu: u32,
    /// Replaced where its file is made anew ([`super::Mending`]).
    pub(super) lock: Mutex<Locked>,
}

impl CpuLease {
    /// The CPU.
    #[must_use]
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// The CPU as the set that a thread is pinned to.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        [self.cpu].into_iter().collect()
    }
}

/// Who holds a CPU, as it wrote itself down. For messages: nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process, in its own PID namespace.
    pub pid: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The operator's name.
    pub operator: String,
    /// Which of the operator's instances.
    pub instance: u32,
}

impl Holder {
    /// An instance of a pipeline that this process runs.
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

/// A CPU that cannot be leased, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldCpu {
    /// The CPU.
    pub cpu: u32,
    /// Its holder, as it wrote itself down; `None` where what it wrote cannot be read.
    pub holder: Option<Holder>,
    /// What keeps it from others.
    pub by: HeldBy,
}

/// What keeps a CPU from being leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBy {
    /// A lock, and who holds it where the kernel was asked and says so.
    Lock(Option<LockHolder>),
    /// Something of another user's under the name of the CPU's file, which nobody can hold and nobody may follow.
    Entry {
        /// What it is.
        what: &'static str,
        /// Whose.
        user: u32,
    },
}

impl HeldCpu {
    /// Whether somebody has it to itself.
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
            // A file says what its last holder wrote, or anybody who may write to it: the kernel knows better.
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
    /// How many.
    pub count: u32,
    /// In whose name.
    pub holder: Holder,
}

/// There are not as many free CPUs as were asked for. Nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{wanted} CPUs are wanted, {free} {} free", if *.free == 1 { "is" } else { "are" })]
pub struct LeaseRefused {
    /// CPUs asked for.
    pub wanted: u32,
    /// CPUs that could have been had: allowed, not held, beyond the reserved ones.
    pub free: u32,
    /// CPUs that others hold.
    pub held: Vec<HeldCpu>,
    /// CPUs that stay unleased for what runs without a lease.
    pub reserved: u32,
}

/// A file lock of the kernel (flock), let go on drop. Letting go by name and not just by closing matters: a child process
/// that was forked and has not reached its exec yet shares the descriptor and would keep the lock.
#[derive(Debug)]
pub(super) struct Locked(OwnedFd);

impl Locked {
    /// Takes the lock at once, or hands the file back because somebody else has it.
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
        // Should this fail, closing the descriptor lets go all the same.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// How a lock is held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hold {
    /// By one.
    Alone,
    /// By any number, and by nobody alone.
    Together,
}
