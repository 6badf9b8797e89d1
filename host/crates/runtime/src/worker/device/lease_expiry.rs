use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::super::serve::WorkerError;
use sage_machine::since_boot;
use sage_process::{Mapping, written_here};

/// The time until which the leases of a device's process are kept, since the machine's start, in memory that
/// the process reads. A stopped host no longer renews this time, so its device process ends itself and the
/// device becomes free for others.
#[derive(Debug)]
pub(super) struct LeaseExpiry {
    file: OwnedFd,
    memory: Mutex<Mapping>,
}

const PAGE: usize = 4096;
/// Maximum time between two checks. A stopped host holds the device for this time beyond the end of its leases.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

impl LeaseExpiry {
    pub(super) fn new(until: Duration) -> io::Result<Self> {
        let (file, memory) = written_here("sage-kept", PAGE, PAGE)?;
        let kept = Self { file, memory: Mutex::new(memory) };
        kept.set(until);
        Ok(kept)
    }

    pub(super) fn set(&self, until: Duration) {
        if let Some(number) = self.memory().number(0) {
            number.store(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// Returns `true` if no process may be started for these leases any more.
    pub(super) fn is_over(&self) -> bool {
        left(&self.memory()).is_none()
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn memory(&self) -> MutexGuard<'_, Mapping> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the device's process: starts a thread that ends the process when its leases are over.
pub(super) fn end_when_over(descriptor: RawFd) -> Result<(), WorkerError> {
    let system = |what| move |cause| WorkerError::System { what, cause };
    // SAFETY: the host opened this descriptor for this process, and nothing else here owns it.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let memory = Mapping::of(&file, PAGE, PAGE, false).map_err(system("cannot map the expiry time of the leases"))?;
    let body = move || {
        while let Some(left) = left(&memory) {
            thread::sleep(left.min(LONGEST_LOOK));
        }
        let _ = writeln!(io::stderr(), "its host did not renew the leases on the device");
        // The process cannot wait for runs, or for the code of a driver that an orderly exit would call.
        std::process::abort();
    };
    let named = thread::Builder::new().name("sage-kept".to_owned());
    named.spawn(body).map(drop).map_err(system("cannot watch the expiry time of the leases"))
}

/// The remaining time of the leases; `None` when they are over.
fn left(memory: &Mapping) -> Option<Duration> {
    let until = memory.number(0).map_or(0, |number| number.load(Ordering::SeqCst));
    // The last nanosecond still counts, as it does for the lease. A sleep of zero would only cause another
    // check.
    Duration::from_nanos(until).checked_sub(since_boot()).map(|left| left.max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_ever_or_until_later_is_not_over() {
        let kept = LeaseExpiry::new(Duration::MAX).unwrap();
        assert!(!kept.is_over());
        kept.set(since_boot() + Duration::from_secs(3600));
        assert!(!kept.is_over());
        kept.set(Duration::from_nanos(1));
        assert!(kept.is_over());
    }
}
