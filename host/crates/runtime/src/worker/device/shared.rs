use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

use super::model_file::ModelFile;
use sage_models::{InferenceError, ModelFacts};
use sage_process::Link;

/// The state of one device's process that the host's threads share.
///
/// ```text
///  Starting ──▶ Up ──▶ Ending ──▶ Starting   (after a pause that grows)
///      │                  ├─────▶ Down       (too many ends in a row: for good)
///      └──────────────────┴─────▶ Closed     (asked for)
/// ```
///
/// Only the supervisor changes the phase, with one exception: the first thread that ends the process moves it
/// from Up to Ending. All other threads wait on `changed`, each until its own deadline.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// No new job begins and no process is started.
    pub(super) closing: bool,
    /// The number of processes so far. It distinguishes the process of a link from later ones.
    pub(super) number: u64,
    /// The current process.
    pub(super) process: Option<Running>,
    /// The link to each slot of the running process, unless the slot's thread has it.
    pub(super) links: Vec<Option<Link>>,
    /// Slots with an idle thread.
    pub(super) free: Vec<usize>,
    /// Slots whose callers left at their deadlines while the runs continue.
    pub(super) overdue: Vec<usize>,
    /// Number of processes that are gone.
    pub(super) gone: u64,
    /// The models that every process must load.
    pub(super) models: BTreeMap<String, Model>,
    /// Number of ends since the last run that returned an answer.
    pub(super) ends: u32,
    /// The process that loads a model for the first time, or that is ended because of a lease. The end of such
    /// a process is no sign of a device failure.
    pub(super) excused: Option<u64>,
    /// The reason why the process with this number was ended.
    pub(super) reason: Option<(u64, String)>,
    /// The number and the end of the last process that is gone.
    pub(super) ended: Option<(u64, InferenceError)>,
    /// The device was closed, and its process did not end in time.
    pub(super) is_stuck: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) id: u32,
    /// Becomes readable when the process has ended.
    pub(super) descriptor: Arc<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) facts: Arc<ModelFacts>,
    /// The supervisor takes the file while it loads the model into a new process.
    pub(super) file: Option<ModelFile>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Starting,
    Up,
    Ending,
    Down(InferenceError),
    Closed,
}

/// Time limit for the end of a killed process. After it, the process is reported as stuck: its driver holds it
/// in the kernel.
pub(super) const UNTIL_GONE: Duration = Duration::from_secs(10);

impl Shared {
    pub(super) fn new(slots: usize) -> Self {
        let state = State {
            phase: Phase::Starting,
            closing: false,
            number: 0,
            process: None,
            links: Vec::new(),
            free: (0..slots).collect(),
            overdue: Vec::new(),
            gone: 0,
            models: BTreeMap::new(),
            ends: 0,
            excused: None,
            is_stuck: false,
            reason: None,
            ended: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all waiting threads.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits until `found` returns a value; `None` at the time `until`.
    pub(super) fn wait<T>(&self, until: Instant, mut found: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = found(&mut state) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a slot with an idle thread, and takes it.
    pub(super) fn take_slot(&self, until: Instant) -> Result<usize, InferenceError> {
        let found = |state: &mut State| match state.refusal() {
            Some(refusal) => Some(Err(refusal)),
            None => state.free.pop().map(Ok),
        };
        self.wait(until, found).unwrap_or(Err(InferenceError::Deadline))
    }

    /// Marks a slot as overdue: its caller has left, although its job may still run.
    pub(super) fn leave(&self, slot: usize) {
        let mut state = self.lock();
        if !state.free.contains(&slot) && !state.overdue.contains(&slot) {
            state.overdue.push(slot);
        }
    }

    /// Marks a slot as free.
    pub(super) fn release(&self, slot: usize) {
        self.change(|state| {
            state.overdue.retain(|overdue| *overdue != slot);
            state.free.push(slot);
        });
    }

    /// Waits until no overdue run is left and the process is up, or until the device refuses all jobs.
    pub(super) fn recover(&self, until: Instant) {
        let is_ready = |state: &mut State| {
            let is_up = state.phase == Phase::Up && state.overdue.is_empty();
            (is_up || state.refusal().is_some()).then_some(())
        };
        let _ready_or_late: Option<()> = self.wait(until, is_ready);
    }

    /// The slot's link to the running process, and the number of the process. Waits for a start in progress.
    pub(super) fn attach(&self, slot: usize, until: Instant) -> Result<(Link, u64), InferenceError> {
        let found = |state: &mut State| match state.refusal() {
            Some(refusal) => Some(Err(refusal)),
            None if state.phase == Phase::Up => {
                let link = state.links.get_mut(slot).and_then(Option::take);
                Some(link.map(|link| (link, state.number)).ok_or_else(|| lost("it has no such slot")))
            }
            None => None,
        };
        self.wait(until, found).unwrap_or(Err(InferenceError::Deadline))
    }

    /// Returns the slot's link for the next job.
    pub(super) fn give_back(&self, slot: usize, link: Link, number: u64) {
        let mut state = self.lock();
        if state.number == number
            && let Some(place) = state.links.get_mut(slot)
        {
            *place = Some(link);
        }
    }

    /// Ends process `number` if it still runs, and returns its end. The end may have another reason if it came
    /// first.
    pub(super) fn end(&self, number: u64, reason: impl Into<String>) -> InferenceError {
        self.kill(number, reason.into());
        let ended = |state: &mut State| match &state.ended {
            Some((of, how)) if *of >= number => Some(how.clone()),
            _ => None,
        };
        let stuck = || lost("its process was killed and does not end: its driver may hold it");
        self.wait(Instant::now() + UNTIL_GONE, ended).unwrap_or_else(stuck)
    }

    /// Kills process `number`.
    pub(super) fn kill(&self, number: u64, reason: String) {
        let mut state = self.lock();
        if state.number != number {
            return;
        }
        if let Some(process) = &state.process {
            // A failed signal means that the process has ended already.
            let _ = pidfd_send_signal(&process.descriptor, Signal::KILL);
            state.reason.get_or_insert((number, reason));
        }
        if state.phase == Phase::Up {
            state.phase = Phase::Ending;
            state.links.clear();
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    /// The reason why no new job begins.
    fn refusal(&self) -> Option<InferenceError> {
        match &self.phase {
            Phase::Down(why) => Some(why.clone()),
            _ if self.closing => Some(lost("the device was closed")),
            _ => None,
        }
    }
}

pub(super) fn lost(why: impl Into<String>) -> InferenceError {
    InferenceError::DeviceLost(why.into())
}
