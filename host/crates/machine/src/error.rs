use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;

use super::{CpuSet, LeaseRefused, LockHolder};

/// An operation that the machine refused to this crate.
#[derive(Debug, Error)]
pub enum ResourceError {
    /// The kernel did not report on which CPUs a thread may run.
    #[error("cannot read on which CPUs this process may run")]
    ReadAffinity(#[source] Errno),

    /// The set of CPUs to bind a thread to is empty.
    #[error("cannot bind a thread to an empty set of CPUs")]
    NoCpu,

    /// The kernel refused to bind a thread. The thread runs where it ran before.
    #[error("cannot bind a thread to CPUs {wanted}")]
    Pin {
        /// The CPUs that the thread was to run on.
        wanted: CpuSet,
        /// The kernel's error.
        #[source]
        cause: Errno,
    },

    /// The kernel accepted a binding, but the thread runs on other CPUs (for example because a cpuset lost
    /// CPUs at the same time).
    #[error("bound a thread to CPUs {wanted}, but it runs on {found}")]
    PinMismatch {
        /// The CPUs that the thread was to run on.
        wanted: CpuSet,
        /// The CPUs that the thread runs on.
        found: CpuSet,
    },

    /// The lease folder, or a file in it, cannot be used.
    #[error("cannot use {path} for CPU leases")]
    Folder {
        /// The folder or the file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// Other users could take leases away, because of the state of the lease folder or of a file in it.
    #[error("{path} is not safe for CPU leases: {why}")]
    UnsafeFolder {
        /// The folder or the file.
        path: PathBuf,
        /// The problem.
        why: &'static str,
    },

    /// Another process holds the lock of the lease folder for longer than ledger_lock CPUs ever takes.
    #[error(
        "{path} has been locked by {} for {timeout:?}",
        .holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
    )]
    FolderBusy {
        /// The folder. Its lock serialises the choice of CPUs.
        path: PathBuf,
        /// The timeout that passed.
        timeout: Duration,
        /// The holder of the lock, if the kernel reports it.
        holder: Option<LockHolder>,
    },

    /// The name of the lease folder leads to another folder than the one with this run's leases, or to
    /// nothing.
    #[error("{path} was deleted or replaced while it is in use for leases")]
    FolderReplaced {
        /// The folder.
        path: PathBuf,
    },

    /// The claim of a run is larger than its file in the lease folder may be.
    #[error("the claim, with {leases} leases on devices, has {length} bytes, at most {limit} are allowed")]
    LargeClaim {
        /// Bytes of the claim.
        length: u64,
        /// Limit in bytes.
        limit: u64,
        /// Number of device leases in the claim.
        leases: usize,
    },

    /// The claim of a run cannot be written as JSON.
    #[error("cannot write the run's claim: {0}")]
    Claim(String),

    /// Fewer CPUs are free than were requested. No CPU was leased.
    #[error(transparent)]
    Refused(#[from] LeaseRefused),

    /// The thread that watches the leases of other processes could not be started.
    #[error("cannot start the thread that watches the CPU leases")]
    Keeper {
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// No lease on a device has this token.
    #[error("there is no lease {token} on any device, {}", those(.held))]
    UnknownLease {
        /// The requested token.
        token: u64,
        /// The tokens of the existing leases.
        held: Vec<u64>,
    },

    /// The thread that renews leases on devices could not be started.
    #[error("cannot start the thread that renews the leases on devices")]
    DeviceKeeper {
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// The turn table of a device cannot be used, so this run and the other runs on the device do not see
    /// each other.
    #[error("cannot use the turn table {path}: {why}")]
    Turns {
        /// The table's file.
        path: PathBuf,
        /// The problem.
        why: &'static str,
    },

    /// A file with the size of the machine's memory cannot be read.
    #[error("cannot read how much memory this machine has from {path}")]
    ReadMemory {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

impl ResourceError {
    /// Advice for the user, if there is any.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Folder { .. } | Self::UnsafeFolder { .. } | Self::FolderBusy { .. } => {
                Some("name a folder of your own with lease_folder in host.toml or SAGE_HOST_LEASE_FOLDER")
            }
            Self::FolderReplaced { .. } => {
                Some("the run writes its leases again within a second; leave the folder alone")
            }
            Self::Pin { .. } | Self::PinMismatch { .. } => {
                Some("the process's CPUs changed while it ran (taskset, cpuset, a CPU taken offline): start it again")
            }
            Self::UnknownLease { .. } => Some("`sage-host devices` lists them; name the same lease folder as the run"),
            Self::LargeClaim { .. } => Some("use fewer instances that ask for a device, or split the pipeline"),
            Self::Claim(_)
            | Self::ReadAffinity(_)
            | Self::NoCpu
            | Self::Refused(_)
            | Self::Keeper { .. }
            | Self::DeviceKeeper { .. }
            | Self::Turns { .. }
            | Self::ReadMemory { .. } => None,
        }
    }
}

fn those(held: &[u64]) -> String {
    if held.is_empty() {
        return "nor any other".to_owned();
    }
    let tokens: Vec<String> = held.iter().map(u64::to_string).collect();
    format!("there is {}", tokens.join(", "))
}
