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

/// What the canary is told on its standard input.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CanarySetup {
    /// The process that started it.
    pub(super) host: i32,
    /// Descriptors, as those of a worker's lane.
    pub(super) own: RawFd,
    pub(super) peer: RawFd,
    pub(super) doorbell: RawFd,
    pub(super) peer_doorbell: RawFd,
}

/// What the canary tells on its standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CanaryReport {
    /// With all its rights: what the seals of shared memory refuse.
    pub(super) seals: Vec<Attempt>,
    /// Behind the fence, with all system calls.
    pub(super) fence: Vec<Attempt>,
    /// And from here on after its lockdown: calls of all sorts.
    pub(super) calls: Vec<Attempt>,
    /// A device each.
    pub(super) devices: Vec<Attempt>,
    /// Another CPU.
    pub(super) moving: Attempt,
    /// Another process.
    pub(super) forking: Attempt,
    /// More memory than [`DATA`].
    pub(super) hoarding: Attempt,
    /// The kernel's version of landlock; 0 if it has none.
    pub(super) landlock: u32,
    /// Whether the kernel fences off files.
    pub(super) files_fenced: bool,
    /// All that this kernel cannot do.
    pub(super) missing: Vec<String>,
}

/// Why a canary has not sung.
#[derive(Debug, Error)]
pub enum CanaryError {
    /// What it was told is nothing that it understands.
    #[error("a canary is started by `sage-host doctor`, with its order on standard input: {0}")]
    WorkerSetup(String),
    /// A right could not be given up.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// Whoever started it is gone or makes no sense.
    #[error("the host's side of the ring: {0}")]
    Wire(#[from] WireError),
    /// Shared memory cannot be mapped, or what was found cannot be told.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        cause: std::io::Error,
    },
}

/// What the two sides of the ring say to each other.
pub(super) const CALL: &[u8; 4] = b"ping";
pub(super) const ANSWER: &[u8; 4] = b"pong";
/// Of private memory, what the canary may have.
pub(super) const DATA: u64 = 64 << 20;
const OPEN_FILES: u64 = 256;

/// What `sage-host canary` does: gives up every right as a worker does, tries what a worker must not be able to do, and tells what the
/// kernel answered. It ends by itself, or with whoever started it.
///
/// # Errors
/// A right that it could not give up; nothing is tried without it then.
pub fn sing() -> Result<(), CanaryError> {
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
    std::io::stderr().write_all(&text).map_err(system("cannot tell what was found"))
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
        // SAFETY: asked only whether it is open, for as long as this call takes.
        descriptor > 2 && rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(descriptor) }).is_ok()
    };
    if !all.into_iter().all(is_open) {
        return Err(CanaryError::WorkerSetup("it names no descriptors".to_owned()));
    }
    // SAFETY: the host opened these for this process and names each of them once.
    let owned = |descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) };
    let [own, peer, doorbell, peer_doorbell] = all.map(owned);
    Ok(FarEnd { own, peer, doorbell, peer_doorbell })
}
