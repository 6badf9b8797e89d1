use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::control::Control;
use super::error::{PipelineError, RunError};
use super::hold::HeldLeases;
use sage_admission::{Grant, Loss, Observed, losses};
use sage_machine::{InventoryWatch, LeasedThreads, Mending, Pace, SharedCpus, Tier};
use sage_observe::{LimitStanding, LimitStandings};
use sage_plan::Plan;
use sage_sandbox::FailureCode;

/// Checks during a run whether the limits of its enforcement report still hold. Limits can be lost when a
/// cpuset or quota above the run shrinks, when a CPU goes offline, or when the lease folder is deleted. Each
/// loss is reported once, as a warning, in the summary and in the metrics. A loss fails a strict run.
///
/// **Waiting.** A single thread sleeps on a condition variable that the end of the run signals. A check waits for
/// nothing, except for the ledger if the lease folder was changed, and that wait has a time limit. A check takes some
/// 50 µs of one CPU. It is due after [`Pace::BUSY`], or after [`Pace::IDLE`] if the process has not worked, and after
/// up to [`Pace::RESTING`] if it has not worked for some seconds. So a loss is reported within about a second of work.
pub(super) struct StandingWatch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

/// The parts of a run that are checked.
pub(super) struct Watched {
    pub(super) plan: Arc<Plan>,
    pub(super) grant: Grant,
    pub(super) leases: Arc<HeldLeases>,
    /// The threads that are pinned to leased CPUs.
    pub(super) leased: LeasedThreads,
    /// The CPUs on which the checks run.
    pub(super) shared: SharedCpus,
    /// The cgroup that contains the groups of workers, if there are any.
    pub(super) slice: Option<String>,
    pub(super) limits: Arc<LimitStandings>,
    /// Whether a loss ends the run.
    pub(super) strict: bool,
    pub(super) control: Arc<Control>,
}

impl StandingWatch {
    /// Starts the checks.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub(super) fn start(watched: Watched) -> Result<Self, RunError> {
        let stop = Arc::<(Mutex<bool>, Condvar)>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("standing".to_owned()).spawn(move || watched.look_until(&stopped));
        let thread =
            thread.map_err(|error| RunError::Lane { lane: "standing".to_owned(), reason: error.to_string() })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for StandingWatch {
    fn drop(&mut self) {
        let (stopped, changed) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

/// The limits of an enforcement report, in the form that the watch uses.
pub(super) fn standings(grant: &Grant) -> LimitStandings {
    let rows = grant.report.rows.iter().map(|row| LimitStanding {
        operator: row.operator.clone(),
        resource: row.resource.clone(),
        tier: numbered(row.tier),
    });
    LimitStandings::new(rows.collect())
}

fn numbered(tier: Tier) -> (&'static str, u8) {
    let number = match tier {
        Tier::Hard => 2,
        Tier::Cooperative => 1,
        Tier::None => 0,
    };
    (tier.name(), number)
}

impl Watched {
    fn look_until(&self, (stopped, changed): &(Mutex<bool>, Condvar)) {
        let (mut said, mut seat) = (None, None);
        let (mut inventory, mut pace) = (InventoryWatch::default(), Pace::default());
        let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Admission has just seen all of it: the first check is due after the first wait.
            pace.worked(std::iter::empty());
            let due = pace.next_after_rest();
            stopped = changed.wait_timeout(stopped, due).unwrap_or_else(PoisonError::into_inner).0;
            if *stopped {
                return;
            }
            // If the thread cannot be moved, it runs for some microseconds on any CPU.
            seat = seat.or_else(|| self.shared.join().ok());
            self.look(&mut inventory, &mut said);
        }
    }

    /// `said` is the last message about the lease folder.
    fn look(&self, inventory: &mut InventoryWatch, said: &mut Option<String>) {
        let mut now = Observed {
            inventory: inventory.look(self.slice.as_deref()).ok(),
            leased: self.leases.cpus(),
            astray: self.leased.astray(),
            taken: Vec::new(),
            not_in_ledger: None,
        };
        match self.leases.mend() {
            Ok(None) => *said = None,
            Ok(Some(mending)) => {
                say(said, &mending.to_string());
                now.taken = self.owners(&mending);
            }
            Err(error) => {
                let why = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                say(said, &format!("the holdings of this run cannot be recorded in the lease folder: {why}"));
                now.not_in_ledger = Some(why);
            }
        }
        for loss in losses(&self.grant, &now) {
            self.note(&loss);
        }
    }

    fn owners(&self, mending: &Mending) -> Vec<(String, u32, sage_machine::HeldCpu)> {
        let owner = |lost: &sage_machine::HeldCpu| {
            let (stage, instance) = self.leases.owner(lost.cpu)?;
            Some((self.plan.stage(stage).name.clone(), instance, lost.clone()))
        };
        mending.lost.iter().filter_map(owner).collect()
    }

    fn note(&self, loss: &Loss) {
        let Loss { operator, instance, resource, tier, message } = loss;
        let Some(lost) = self.limits.lower(operator, resource, numbered(*tier), message) else { return };
        let (was, is) = (lost.was, lost.tier);
        tracing::warn!("{resource} of \"{operator}\" is {is} and no longer {was}: {message}");
        if self.strict {
            self.control.fail(PipelineError {
                stage: operator.clone(),
                instance: *instance,
                code: FailureCode::LimitLost,
                message: format!("{resource} is {is} and no longer {was}: {message}"),
                record: None,
                hint: Some(
                    "give the limit back and start again, or run without --strict to go on with a warning".to_owned(),
                ),
            });
        }
    }
}

/// Logs a message, unless it equals the last one.
fn say(said: &mut Option<String>, words: &str) {
    if said.as_deref() != Some(words) {
        tracing::warn!("{words}");
        *said = Some(words.to_owned());
    }
}
