use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::attempt::Attempt;
use super::attempts;
use sage_batch::wire::{WireError, WireReader, WireWriter};
use sage_process::lockdown::{Lockdown, LockdownError, Missing, ProcessLimits, Purpose};
use sage_process::{FarEnd, Link};

/// The setup message of the canary, on its standard input.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CanarySetup {
    /// The parent process.
    pub(super) host: i32,
    /// Descriptors, like those of a worker's lane.
    pub(super) own: RawFd,
    pub(super) peer: RawFd,
    pub(super) doorbell: RawFd,
    pub(super) peer_doorbell: RawFd,
}

/// The report of the canary, on its standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CanaryReport {
    /// Before the lockdown: attempts against the seals of shared memory.
    pub(super) seals: Vec<Attempt>,
    /// After the first step of the lockdown, while every system call is still allowed.
    pub(super) fence: Vec<Attempt>,
    /// After the lockdown, like all later fields: system calls of several kinds.
    pub(super) calls: Vec<Attempt>,
    /// Attempts to open devices, one for each.
    pub(super) devices: Vec<Attempt>,
    /// Moving to another CPU.
    pub(super) moving: Attempt,
    /// Starting another process.
    pub(super) forking: Attempt,
    /// Allocating more memory than [`DATA`].
    pub(super) hoarding: Attempt,
    /// The kernel's landlock version; 0 if the kernel has no landlock.
    pub(super) landlock: u32,
    /// Whether the kernel restricts access to files.
    pub(super) files_fenced: bool,
    /// The restrictions that this kernel cannot enforce.
    pub(super) missing: Vec<String>,
}

/// The reason why there is no canary report.
#[derive(Debug, Error)]
pub enum CanaryError {
    /// The setup message is invalid.
    #[error("a canary is started by `sage-host doctor`, with its setup on standard input: {0}")]
    WorkerSetup(String),
    /// A privilege could not be given up.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The parent is gone, or sent an invalid message.
    #[error("the link to the host: {0}")]
    Wire(#[from] WireError),
    /// Shared memory cannot be mapped, or the report cannot be written.
    #[error("{what}: {cause}")]
    System {
        /// The action that failed.
        what: &'static str,
        /// The reason.
        cause: std::io::Error,
    },
}

/// The messages of the two sides in the ring.
pub(super) const CALL: &[u8; 4] = b"ping";
pub(super) const ANSWER: &[u8; 4] = b"pong";
/// Maximum bytes of private memory of the canary.
pub(super) const DATA: u64 = 64 << 20;
const OPEN_FILES: u64 = 256;

/// Runs `sage-host canary`: gives up every right like a worker, tries actions that a worker must not be able to
/// do, and reports the kernel's answers. The canary ends by itself, or with its parent.
///
/// # Errors
/// A privilege that could not be given up. In that case nothing is tried.
pub fn run_canary() -> Result<(), CanaryError> {
    let order = read_order()?;
    let end = far_end(&order)?;
    let seals = attempts::on_shared_memory(&end);
    let mut link = Link::far(end, Duration::ZERO).map_err(system("cannot map the ring"))?;
    let limits =
        ProcessLimits { open_files: OPEN_FILES, file_bytes: Some(DATA), data_bytes: Some(DATA), cpu_seconds: Some(10) };
    let keep = (0..3).chain([order.own, order.peer, order.doorbell, order.peer_doorbell]).collect();
    let lockdown = Lockdown { purpose: Purpose::Run, keep, folders: Vec::new(), connect: Vec::new(), limits };
    let fenced = lockdown.before_threads()?;
    let fence = attempts::at_the_fence();
    let report = fenced.after_setup()?;
    link.put(CALL)?;
    link.send();
    let mut answer = [0; ANSWER.len()];
    link.get(&mut answer)?;
    link.taken();
    link.put(CALL)?;
    link.send();
    let report = CanaryReport {
        seals,
        fence,
        calls: attempts::at_the_filter(order.host),
        devices: attempts::on_devices(),
        moving: attempts::to_move(),
        forking: attempts::to_fork(),
        hoarding: attempts::to_hoard(),
        landlock: report.landlock,
        files_fenced: !report.missing.contains(&Missing::FileFence),
        missing: report.missing.iter().map(ToString::to_string).collect(),
    };
    let text = serde_json::to_vec(&report).map_err(|error| CanaryError::WorkerSetup(error.to_string()))?;
    std::io::stderr().write_all(&text).map_err(system("cannot write the report"))
}

fn read_order() -> Result<CanarySetup, CanaryError> {
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text).map_err(|error| CanaryError::WorkerSetup(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| CanaryError::WorkerSetup(error.to_string()))
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> CanaryError {
    move |cause| CanaryError::System { what, cause }
}

fn far_end(order: &CanarySetup) -> Result<FarEnd, CanaryError> {
    let all = [order.own, order.peer, order.doorbell, order.peer_doorbell];
    let is_open = |descriptor: RawFd| {
        // SAFETY: only checks whether the descriptor is open, for the duration of this call.
        descriptor > 2 && rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(descriptor) }).is_ok()
    };
    if !all.into_iter().all(is_open) {
        return Err(CanaryError::WorkerSetup("it names no descriptors".to_owned()));
    }
    // SAFETY: the host opened these descriptors for this process, and names each of them once.
    let owned = |descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) };
    let [own, peer, doorbell, peer_doorbell] = all.map(owned);
    Ok(FarEnd { own, peer, doorbell, peer_doorbell })
}
