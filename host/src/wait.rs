use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::ExitCode;
use super::arriving::Arriving;
use super::failure::Failure;
use super::refusal::of_job;
use super::signals::SignalWatch;
use sage_admission::Refusal;
use sage_observe::Screen;
use sage_plan::config::format_duration;
use sage_runtime::engine::{Admitted, Job, JobError};

/// Interval at which a waiting run tries again. A try takes less than a millisecond. There is no notification
/// when resources become free, because their holder may have been killed.
const AGAIN: Duration = Duration::from_millis(200);

/// Waits until the job is admitted, for at most `most`. Only resources of other pipelines are waited for: a
/// job that would not fit on an idle machine is refused at once. Waiting runs are not served in any order.
///
/// A signal during the wait ends it at once, since nothing runs that could be drained. Signals go to `watch`
/// before this function stops listening, so none is lost in between.
pub(super) fn admitted(
    job: &Job,
    most: Duration,
    watch: impl FnOnce() -> Result<SignalWatch, Failure>,
    screen: &Screen,
    quiet: bool,
) -> Result<(SignalWatch, Admitted), Failure> {
    let started = Instant::now();
    let (_arriving, signals) = Arriving::channel("waiting")?;
    let mut said = false;
    loop {
        let refusal = match job.admit() {
            Ok(admitted) => {
                let watch = watch()?;
                signals.try_recv().map_or(Ok(()), |_| Err(interrupted()))?;
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
        wait(&signals, AGAIN.min(left))?;
    }
}

/// The message about the wait: the missing resources and their holders.
fn waiting(most: Duration, refusal: &Refusal) -> String {
    let mut text = format!("waiting up to {} for what others hold:\n", format_duration(most));
    for reason in &refusal.reasons {
        text.push_str(&format!("  {reason}\n"));
        for note in reason.notes() {
            text.push_str(&format!("    {note}\n"));
        }
    }
    text
}

/// Waits for `time`, or ends with the first signal.
fn wait(signals: &Receiver<i32>, time: Duration) -> Result<(), Failure> {
    match signals.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(_) => Err(interrupted()),
        Err(RecvTimeoutError::Disconnected) => Err(Failure::fault("the thread that watches for signals has ended")),
    }
}

fn interrupted() -> Failure {
    Failure::new(ExitCode::Interrupted, "interrupted while waiting for what others hold: nothing was run")
}
