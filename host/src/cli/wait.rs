use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::ExitCode;
use super::failure::Failure;
use super::refusal::of_job;
use super::signals::SignalWatch;
use crate::admission::Refusal;
use crate::engine::{Admitted, Job, JobError};
use crate::observe::Screen;

/// How often a waiting run tries again. Trying takes less than a millisecond, and nobody tells it when something becomes free:
/// whoever held it may have been killed.
const AGAIN: Duration = Duration::from_millis(200);

/// Has the job admitted, at the latest when `most` is over. Waits only for what other pipelines hold: what would not fit on
/// an idle machine is refused at once. Those that wait are not served in any order.
///
/// A signal while it waits ends it at once, since nothing runs that could be drained. Signals go to `watch` before this
/// stops listening, so none is lost in between.
pub(super) fn admitted(
    job: &Job,
    most: Duration,
    watch: impl FnOnce() -> Result<SignalWatch, Failure>,
    screen: &Screen,
    quiet: bool,
) -> Result<(SignalWatch, Admitted), Failure> {
    let started = Instant::now();
    let signals = Arriving::start()?;
    let mut said = false;
    loop {
        let refusal = match job.admit() {
            Ok(admitted) => {
                let watch = watch()?;
                signals.none_came()?;
                return Ok((watch, admitted));
            }
            Err(JobError::Refused(refusal)) => refusal,
            Err(error) => return Err(of_job(&error)),
        };
        let left = most.saturating_sub(started.elapsed());
        if left.is_zero() || !job.fits_alone().map_err(|error| of_job(&error))? {
            return Err(of_job(&JobError::Refused(refusal)));
        }
        if !std::mem::replace(&mut said, true) && !quiet {
            screen.print(&waiting(most, &refusal));
        }
        signals.wait(AGAIN.min(left))?;
    }
}

/// What is waited for, and who holds it.
fn waiting(most: Duration, refusal: &Refusal) -> String {
    let mut text = format!("waiting up to {most:?} for what others hold:\n");
    for reason in &refusal.reasons {
        text.push_str(&format!("  {reason}\n"));
        for note in reason.notes() {
            text.push_str(&format!("    {note}\n"));
        }
    }
    text
}

/// Signals as they arrive. A thread passes them on; `drop` closes its iterator, which ends it, and joins it.
struct Arriving {
    handle: Handle,
    signals: Receiver<i32>,
    thread: Option<JoinHandle<()>>,
}

impl Arriving {
    fn start() -> Result<Self, Failure> {
        let unwatched = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        let mut arriving = Signals::new([SIGINT, SIGTERM]).map_err(unwatched)?;
        let handle = arriving.handle();
        let (sender, signals) = mpsc::channel();
        let pass_on = move || {
            for signal in arriving.forever() {
                if sender.send(signal).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("waiting".to_owned()).spawn(pass_on).map_err(unwatched)?;
        Ok(Self { handle, signals, thread: Some(thread) })
    }

    /// Waits for that long, or ends with the first signal.
    fn wait(&self, time: Duration) -> Result<(), Failure> {
        match self.signals.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(_) => Err(interrupted()),
            Err(RecvTimeoutError::Disconnected) => Err(Failure::fault("the thread that watches for signals has ended")),
        }
    }

    fn none_came(&self) -> Result<(), Failure> {
        self.signals.try_recv().map_or(Ok(()), |_| Err(interrupted()))
    }
}

fn interrupted() -> Failure {
    Failure::new(ExitCode::Interrupted, "interrupted while waiting for what others hold: nothing was run")
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it was said by the hook already.
            let _ = thread.join();
        }
    }
}
