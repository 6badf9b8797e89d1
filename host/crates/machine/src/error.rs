use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;

use super::{CpuSet, LeaseRefused, LockHolder};

/// What the machine did not let this room do.
#[derive(Debug, Error)]
pub enum ResourceError {
    /// The kernel did not say on which CPUs a thread may run.
    #[error("cannot read on which CPUs this process may run")]
    ReadAffinity(#[source] Errno),

    /// A thread cannot be bound to no CPU at all.
    #[error("cannot bind a thread to an empty set of CPUs")]
    NoCpu,

    /// The kernel refused to bind a thread; it runs where it ran before.
    #[error("cannot bind a thread to CPUs {wanted}")]
    Pin {
        /// Where the thread was to run.
        wanted: CpuSet,
        /// Why not.
        #[source]
        cause: Errno,
    },

    /// The kernel said yes and did something else (a cpuset took CPUs away meanwhile, say).
    #[error("bound a thread to CPUs {wanted}, but it runs on {found}")]
    PinMismatch {
        /// Where the thread was to run.
        wanted: CpuSet,
        /// Where it runs.
        found: CpuSet,
    },

    /// The lease folder, or a file in it, cannot be used.
    #[error("cannot use {path} for CPU leases")]
    Folder {
        /// The folder or the file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// The lease folder, or a file in it, is such that somebody else could take leases away from us.
    #[error("{path} is not safe for CPU leases: {why}")]
    UnsafeFolder {
        /// The folder or the file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },

    /// Somebody has been choosing CPUs in the lease folder for longer than choosing ever takes.
    #[error(
        "{path} has been locked by {} for {timeout:?}",
        .holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
    )]
    FolderBusy {
        /// The folder, whose lock serialises choosing.
        path: PathBuf,
        /// How long we waited.
        timeout: Duration,
        /// Who holds it, where the kernel says.
        holder: Option<LockHolder>,
    },

    /// The lease folder's name leads to another folder than the one that this run has its leases in, or to nothing.
    #[error("{path} was deleted or replaced while it is in use for leases")]
    FolderReplaced {
        /// The folder.
        path: PathBuf,
    },

    /// What a run claims is more than its file in the lease folder may hold.
    #[error(
        "what is claimed, {leases} leases on devices among it, comes to {length} bytes, at most {limit} are written down"
    )]
    LargeClaim {
        /// Bytes.
        length: u64,
        /// The most.
        limit: u64,
        /// How many leases on devices are in it.
        leases: usize,
    },

    /// What a run claims cannot be written down.
    #[error("cannot write a claim down: {0}")]
    Claim(String),

    /// There are not as many CPUs as were asked for; nothing was taken.
    #[error(transparent)]
    Refused(#[from] LeaseRefused),

    /// The thread that watches for leases of other processes cannot be started.
    #[error("cannot start the thread that watches the CPU leases")]
    Keeper {
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// No lease on a device has this token.
    #[error("there is no lease {token} on any device, {}", those(.held))]
    UnknownLease {
        /// What was asked for.
        token: u64,
        /// Those that there are.
        held: Vec<u64>,
    },

    /// The thread that renews leases on devices cannot be started.
    #[error("cannot start the thread that renews the leases on devices")]
    DeviceKeeper {
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// A run does not see those that it shares a device with, nor they it.
    #[error("cannot take turns by {path}: {why}")]
    Turns {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A file that says how much memory there is cannot be read.
    #[error("cannot read how much memory this machine has from {path}")]
    ReadMemory {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

impl ResourceError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Folder { .. } | Self::UnsafeFolder { .. } | Self::FolderBusy { .. } => {
                Some("name a folder of your own with lease_folder in host.toml or SAGE_HOST_LEASE_FOLDER")
            }
            Self::FolderReplaced { .. } => {
                Some("the run writes itself down anew within a second; leave the folder alone")
            }
            Self::Pin { .. } | Self::PinMismatch { .. } => {
                Some("the process's CPUs changed while it ran (taskset, cpuset, a CPU taken offline): start it again")
            }
            Self::UnknownLease { .. } => Some("`sage-host devices` lists them; name the same lease folder as the run"),
            Self::LargeClaim { .. } => Some("fewer instances that ask for a device, or several pipelines of fewer"),
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
