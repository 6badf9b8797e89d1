use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd as _;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

use super::reply;
use crate::inference::{Trial, examine};
use crate::worker::lockdown::{Lockdown, LockdownError, ProcessLimits, Purpose, forbid_new_code};

/// What an examining process is told when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExamineOrder {
    /// Bytes of memory that it may take.
    pub memory: u64,
    /// Seconds of CPU time that it may take.
    pub cpu_seconds: u64,
    /// The process that started it, and with which it ends.
    pub parent: u32,
    /// Whether the model is tried out.
    pub trial: Trial,
}

/// Why an examining process ends without a reply.
#[derive(Debug, Error)]
pub enum ExamineProcessError {
    /// Whoever started it is gone.
    #[error("the process {0} that wanted this examined is gone")]
    Orphaned(u32),
    /// A right could not be given up: nothing was looked at.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The file cannot be read, or the reply not written.
    #[error("cannot {what}: {source}")]
    Pipe {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
}

/// Descriptors: the standard streams, and its own status.
const OPEN_FILES: u64 = 8;

/// What `sage-host examine-model` does: gives up every right it does not need, looks at the model on standard input, and writes what it found to
/// standard output.
///
/// # Errors
/// Whatever keeps it from replying; whoever waits for the reply sees that it ended.
pub fn examine_one(order: ExamineOrder) -> Result<(), ExamineProcessError> {
    let broken = |what| move |source: io::Error| ExamineProcessError::Pipe { what, source };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| broken("ask to end with its parent")(errno.into()))?;
    if getppid().map(Pid::as_raw_pid) != i32::try_from(order.parent).ok() {
        return Err(ExamineProcessError::Orphaned(order.parent));
    }
    let status = File::open("/proc/self/status").map_err(broken("open its own status"))?;
    lockdown(order, &status).apply()?;
    forbid_new_code()?;
    let mut model = Vec::new();
    io::stdin().lock().read_to_end(&mut model).map_err(broken("read the model"))?;
    let outcome = examine(&model, order.trial, || most_memory(&status));
    reply::write(&mut io::stdout().lock(), outcome).map_err(broken("reply"))
}

fn lockdown(order: ExamineOrder, status: &File) -> Lockdown {
    Lockdown {
        purpose: Purpose::Compile,
        keep: vec![0, 1, 2, status.as_raw_fd()],
        folders: Vec::new(),
        connect: Vec::new(),
        limits: ProcessLimits {
            open_files: OPEN_FILES,
            file_bytes: Some(0),
            data_bytes: Some(order.memory),
            cpu_seconds: Some(order.cpu_seconds),
        },
    }
}

/// The most memory that this process has had: `VmHWM` of its status.
fn most_memory(mut status: &File) -> Option<u64> {
    let mut text = [0; 4096];
    let read = status.read(&mut text).ok()?;
    let text = std::str::from_utf8(text.get(..read)?).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
