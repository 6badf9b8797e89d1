use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sage_machine::{ThreadClock, thread_cpu_time};

/// The CPU time of the helper threads of one lane, which read and write its guest's files. The time counts as
/// the guest's, even if the lane no longer waits for a thread.
#[derive(Debug, Default)]
pub(super) struct HelperClock {
    running: Mutex<Vec<ThreadClock>>,
    /// Number of running helper threads. Spares most guests the lock.
    count: AtomicUsize,
    /// Nanoseconds used by threads that have ended.
    ended: AtomicU64,
}

impl HelperClock {
    /// Registers the calling thread as a helper of the lane.
    pub(super) fn join(&self) {
        let mut running = self.running();
        running.push(ThreadClock::own());
        self.count.store(running.len(), Ordering::Relaxed);
    }

    /// Removes the calling thread, which is about to end.
    pub(super) fn leave(&self) {
        let mut running = self.running();
        let own = ThreadClock::own();
        running.retain(|clock| *clock != own);
        self.count.store(running.len(), Ordering::Relaxed);
        self.ended.fetch_add(nanoseconds(thread_cpu_time()), Ordering::Relaxed);
    }

    /// Number of running helper threads.
    pub(super) fn threads(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// CPU time that all helper threads have used, including those that have ended.
    pub(super) fn cpu_time(&self) -> Duration {
        if self.threads() == 0 && self.ended.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        // A thread must take this lock before it ends, so each of these threads still exists.
        let running = self.running();
        let ended = Duration::from_nanos(self.ended.load(Ordering::Relaxed));
        running.iter().map(ThreadClock::read).fold(ended, |all, one| all + one)
    }

    fn running(&self) -> MutexGuard<'_, Vec<ThreadClock>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn what_other_threads_use_counts_while_they_run_and_when_they_have_ended() {
        let clock = Arc::new(HelperClock::default());
        assert_eq!((clock.cpu_time(), clock.threads()), (Duration::ZERO, 0));
        let (tell, told) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let helper = thread::spawn({
            let clock = Arc::clone(&clock);
            move || {
                clock.join();
                while thread_cpu_time() < Duration::from_millis(5) {
                    std::hint::spin_loop();
                }
                tell.send(()).unwrap();
                gone.recv().unwrap();
                clock.leave();
            }
        });
        told.recv().unwrap();
        assert_eq!(clock.threads(), 1);
        assert!(clock.cpu_time() >= Duration::from_millis(5), "{:?}", clock.cpu_time());
        go.send(()).unwrap();
        helper.join().unwrap();
        assert_eq!(clock.threads(), 0);
        let ended = clock.cpu_time();
        assert!(ended >= Duration::from_millis(5) && ended < Duration::from_secs(5), "{ended:?}");
    }
}
