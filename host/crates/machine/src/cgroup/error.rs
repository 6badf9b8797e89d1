use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use super::Controller;

/// What the kernel's control groups did not let us do.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// A limit was asked for that nothing here can keep.
    #[error("{group} cannot be given a limit of {controller}: {why}")]
    NoControl {
        /// The group, below the slice.
        group: String,
        /// What was to be limited.
        controller: Controller,
        /// Why that cannot be done, as [`super::Control::why_not`] says it.
        why: String,
    },

    /// A quota of CPU time below what the kernel can count.
    #[error("a quota of {wanted}/10000 of a CPU is below the kernel's least of {least}/10000")]
    QuotaTooSmall {
        /// What was asked for, in 1/10,000 of a CPU.
        wanted: u64,
        /// The least there is.
        least: u64,
    },

    /// A group was asked for where its level has no place.
    #[error("no {wanted} has its group in {group:?}")]
    WrongLevel {
        /// The group in which it was to be, below the slice.
        group: PathBuf,
        /// What it was to be of.
        wanted: &'static str,
    },

    /// A limit was broken on purpose, and nothing happened.
    #[error("a limit of {controller} reads as it was written and holds nothing: {seen}")]
    NotKept {
        /// What was limited.
        controller: Controller,
        /// What a process could do all the same.
        seen: String,
    },

    /// The process that was to break a limit did not come so far.
    #[error("cannot start a process that breaks a limit of {controller}")]
    Breach {
        /// What was limited.
        controller: Controller,
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// A group cannot be made.
    #[error("cannot make the cgroup {path}")]
    Make {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// A group's file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// A group's file does not take a value.
    #[error("cannot write {value:?} to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What was to stand in it.
        value: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// The kernel took a value and says another.
    #[error("wrote {wanted:?} to {path}, but it reads {found:?}")]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// What was written.
        wanted: String,
        /// What stands there.
        found: String,
    },

    /// A file does not read as the kernel documents it.
    #[error("{path} reads {found:?}, which is not {wanted}")]
    Strange {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What it holds.
        found: String,
    },

    /// On v2, a group did not give a controller to the groups in it: their limits would silently not be there.
    #[error("{path} does not hand {controller} down to the groups in it: {why}")]
    NotHandedDown {
        /// The group above.
        path: PathBuf,
        /// What it keeps to itself.
        controller: Controller,
        /// Why.
        why: String,
    },

    /// A living process holds this group.
    #[error("the cgroup {path} is in use")]
    InUse {
        /// The group's folder.
        path: PathBuf,
    },

    /// A group cannot be locked, so nobody could know whether its supervisor lives.
    #[error("cannot lock the cgroup {path}")]
    Lock {
        /// The group's folder.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: Errno,
    },

    /// Processes in a group outlived being killed for as long as we wait.
    #[error("the cgroup {path} still holds processes {pids:?} after {milliseconds} ms of killing them")]
    NotEmpty {
        /// The group's folder.
        path: PathBuf,
        /// The processes; 0 is one that this PID namespace cannot see.
        pids: Vec<i32>,
        /// How long we waited.
        milliseconds: u64,
    },

    /// A group cannot be removed.
    #[error("cannot remove the cgroup {path}")]
    Remove {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },

    /// The kernel does not say when the memory of a group runs out.
    #[error("cannot watch {path} for running out of memory")]
    Watch {
        /// The group's folder.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: Errno,
    },
}

impl CgroupError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoControl { .. } => Some("`sage-host doctor` shows what can be limited here, and what to change"),
            Self::QuotaTooSmall { .. } => Some("ask for at least 0.001 CPUs"),
            Self::Make { cause, .. } | Self::Write { cause, .. } => cause_hint(cause),
            Self::NotHandedDown { .. } => Some(OWN_SCOPE),
            Self::NotEmpty { .. } => Some("a process that does not die waits in the kernel, most often for a disk"),
            _ => None,
        }
    }

    /// The error and what caused it, in one line.
    pub(super) fn in_full(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {}", cause.to_string().to_lowercase()),
            None => self.to_string(),
        }
    }
}

const OWN_SCOPE: &str = "start sage-host in a scope of its own (`systemd-run --scope -p Delegate=yes -- sage-host ...`), or as root with a \
                         slice below the root in host.toml (slice = \"/sage-host\")";

fn cause_hint(cause: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(cause)? {
        Errno::ACCESS | Errno::PERM => Some(
            "run as root, or have a part of the cgroup tree handed to you: `systemd-run --user --scope -p Delegate=yes -- sage-host ...`, \
             or Delegate=yes beside User= in the unit that starts it",
        ),
        Errno::ROFS => Some(
            "in a container, let it write to a cgroup tree of its own: docker run --cgroupns=private --security-opt \
             writable-cgroups=true ..., podman run --cgroupns=private --security-opt unmask=/sys/fs/cgroup ...; outside, \
             mount -o remount,rw /sys/fs/cgroup",
        ),
        Errno::BUSY => Some(OWN_SCOPE),
        Errno::AGAIN | Errno::NOSPC => {
            Some("the kernel has no room for more groups here: see cgroup.max.descendants of the groups above")
        }
        _ => None,
    }
}
