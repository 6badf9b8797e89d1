use std::fmt;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::CpuSet;

/// A CPU that no other sage-host of the lease folder's scope gives to anybody, until this is dropped.
///
/// Owned by whoever holds the value; the kernel takes it back when the process ends, however it ends. It says whose the CPU
/// is and moves no thread there: see [`super::pin_current_thread`].
#[derive(Debug)]
#[must_use = "the CPU is free again as soon as the lease is dropped"]
pub struct CpuLease {
    pub(super) cpu: u32,
    pub(super) _lock: Locked,
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

/// A CPU that is leased, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldCpu {
    /// The CPU.
    pub cpu: u32,
    /// Its holder; `None` where what it wrote cannot be read.
    pub holder: Option<Holder>,
}

impl fmt::Display for HeldCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Some(holder) => write!(f, "CPU {} is leased by {holder}", self.cpu),
            None => write!(f, "CPU {} is leased by a process that left no name", self.cpu),
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
