use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use super::Controller;

/// An error of the kernel's control groups.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// A requested limit is not available on this machine.
    #[error("{group} cannot be given a limit of {controller}: {why}")]
    NoControl {
        /// Path of the group, below the slice.
        group: String,
        /// The controller of the limit.
        controller: Controller,
        /// The reason, as in [`super::Control::why_not`].
        why: String,
    },

    /// The requested quota of CPU time is smaller than the kernel can count.
    #[error("a quota of {wanted}/10000 of a CPU is below the kernel's least of {least}/10000")]
    QuotaTooSmall {
        /// The requested quota, in 1/10,000 of a CPU.
        wanted: u64,
        /// The smallest quota, in 1/10,000 of a CPU.
        least: u64,
    },

    /// A group was requested at a level where it cannot be.
    #[error("no {wanted} has its group in {group:?}")]
    WrongLevel {
        /// The group that was to contain it, below the slice.
        group: PathBuf,
        /// The kind of group that was requested.
        wanted: &'static str,
    },

    /// A limit was exceeded on purpose, and the kernel did not react.
    #[error("a limit of {controller} reads as it was written and holds nothing: {seen}")]
    NotKept {
        /// The controller of the limit.
        controller: Controller,
        /// The action that a process could still do.
        seen: String,
    },

    /// The process that was to exceed a limit could not be started.
    #[error("cannot start a process that breaks a limit of {controller}")]
    Breach {
        /// The controller of the limit.
        controller: Controller,
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// A group cannot be made.
    #[error("cannot make the cgroup {path}")]
    Make {
        /// Folder of the group.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// A group's file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// A group's file does not accept a value.
    #[error("cannot write {value:?} to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The value.
        value: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// The kernel accepted a value but reports another one.
    #[error("wrote {wanted:?} to {path}, but it reads {found:?}")]
    ReadBack {
        /// The file.
        path: PathBuf,
        /// The value that was written.
        wanted: String,
        /// The value that was read back.
        found: String,
    },

    /// A file does not have the form that the kernel documents.
    #[error("{path} reads {found:?}, which is not {wanted}")]
    Strange {
        /// The file.
        path: PathBuf,
        /// The expected contents.
        wanted: &'static str,
        /// The contents that were found.
        found: String,
    },

    /// On v2, a group did not hand a controller down to the groups in it. Their limits would have no effect.
    #[error("{path} does not hand {controller} down to the groups in it: {why}")]
    NotHandedDown {
        /// The group above.
        path: PathBuf,
        /// The controller that was not handed down.
        controller: Controller,
        /// The reason.
        why: String,
    },

    /// A living process holds this group.
    #[error("the cgroup {path} is in use")]
    InUse {
        /// Folder of the group.
        path: PathBuf,
    },

    /// A group cannot be locked, so other processes could not tell whether its supervisor lives.
    #[error("cannot lock the cgroup {path}")]
    Lock {
        /// Folder of the group.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: Errno,
    },

    /// Killed processes of a group did not end within the timeout.
    #[error("the cgroup {path} still holds processes {pids:?} after {milliseconds} ms of killing them")]
    NotEmpty {
        /// Folder of the group.
        path: PathBuf,
        /// The processes; 0 stands for a process that this PID namespace cannot see.
        pids: Vec<i32>,
        /// Duration of the wait, in milliseconds.
        milliseconds: u64,
    },

    /// A group cannot be removed.
    #[error("cannot remove the cgroup {path}")]
    Remove {
        /// Folder of the group.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },

    /// The kernel does not report when the memory of a group runs out.
    #[error("cannot watch {path} for running out of memory")]
    Watch {
        /// Folder of the group.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: Errno,
    },
}

impl CgroupError {
    /// Advice for the user, if there is any.
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

    /// The error and its cause, in one line.
    pub(super) fn in_full(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {}", cause.to_string().to_lowercase()),
            None => self.to_string(),
        }
    }
}

const OWN_SCOPE: &str = "start sage-host in a scope of its own \
                         (`systemd-run --scope -p Delegate=yes -- sage-host ...`), or as root with a \
                         slice below the root in host.toml (slice = \"/sage-host\")";

fn cause_hint(cause: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(cause)? {
        Errno::ACCESS | Errno::PERM => Some(
            "run as root, or have a part of the cgroup tree handed to you: \
             `systemd-run --user --scope -p Delegate=yes -- sage-host ...`, \
             or Delegate=yes beside User= in the unit that starts it",
        ),
        Errno::ROFS => Some(
            "in a container, let it write to a cgroup tree of its own: \
             docker run --cgroupns=private --security-opt writable-cgroups=true ..., \
             podman run --cgroupns=private --security-opt unmask=/sys/fs/cgroup ...; \
             outside, mount -o remount,rw /sys/fs/cgroup",
        ),
        Errno::BUSY => Some(OWN_SCOPE),
        Errno::AGAIN | Errno::NOSPC => {
            Some("the kernel has no room for more groups here: see cgroup.max.descendants of the groups above")
        }
        _ => None,
    }
}
