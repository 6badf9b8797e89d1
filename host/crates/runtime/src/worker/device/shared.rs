use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

use super::model_file::ModelFile;
use sage_models::{InferenceError, ModelFacts};
use sage_process::Link;

/// What the host's threads know together of one device's process.
///
/// ```text
///  Starting ──▶ Up ──▶ Ending ──▶ Starting   (after a pause that grows)
///      │                  ├─────▶ Down       (too many ends in a row: for good)
///      └──────────────────┴─────▶ Closed     (asked for)
/// ```
///
/// Only the supervisor moves it, but from Up to Ending, which is whoever ends the process first. Everybody else waits on `changed`, until a
/// deadline of their own.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Nothing new begins, and no process is started any more.
    pub(super) closing: bool,
    /// How many processes there have been: tells the one that a link leads to from those after it.
    pub(super) number: u64,
    /// The process that there is.
    pub(super) process: Option<Running>,
    /// To each slot of the process that is up, unless its thread has it.
    pub(super) links: Vec<Option<Link>>,
    /// Slots whose threads have nothing to do.
    pub(super) free: Vec<usize>,
    /// Slots whose callers have gone at their deadlines, and whose runs are not over.
    pub(super) overdue: Vec<usize>,
    /// Processes that are gone.
    pub(super) gone: u64,
    /// What every process must have loaded.
    pub(super) models: BTreeMap<String, Model>,
    /// Ends since the last run that gave an answer.
    pub(super) ends: u32,
    /// The process that loads a model that none had before, or that is ended for a lease's sake: how it ends says nothing of the device.
    pub(super) excused: Option<u64>,
    /// Why the process with this number had to be ended.
    pub(super) reason: Option<(u64, String)>,
    /// How the last one that is gone ended.
    pub(super) ended: Option<(u64, InferenceError)>,
    /// It was closed, and waited for in vain.
    pub(super) is_stuck: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) id: u32,
    /// Readable once it has ended.
    pub(super) descriptor: Arc<OwnedFd>,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) facts: Arc<ModelFacts>,
    /// The supervisor locks it while it starts a process.
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

/// How long a process that was killed may take to end before it is told so: it waits for its driver in the kernel then.
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

    /// Changes something that others may wait for.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Waits until `found` finds something; `None` when it is `until`.
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

    /// A slot whose thread has nothing to do.
    pub(super) fn take_slot(&self, until: Instant) -> Result<usize, InferenceError> {
        let found = |state: &mut State| match state.refusal() {
            Some(refusal) => Some(Err(refusal)),
            None => state.free.pop().map(Ok),
        };
        self.wait(until, found).unwrap_or(Err(InferenceError::Deadline))
    }

    /// The caller of a slot has gone, though what it asked for may be under way.
    pub(super) fn leave(&self, slot: usize) {
        let mut state = self.lock();
        if !state.free.contains(&slot) && !state.overdue.contains(&slot) {
            state.overdue.push(slot);
        }
    }

    /// A slot's thread has nothing to do any more.
    pub(super) fn release(&self, slot: usize) {
        self.change(|state| {
            state.overdue.retain(|overdue| *overdue != slot);
            state.free.push(slot);
        });
    }

    /// Waits until nothing runs past its caller and the process is up, or never will be.
    pub(super) fn recover(&self, until: Instant) {
        let is_ready = |state: &mut State| {
            let is_up = state.phase == Phase::Up && state.overdue.is_empty();
            (is_up || state.refusal().is_some()).then_some(())
        };
        let _ready_or_late: Option<()> = self.wait(until, is_ready);
    }

    /// The slot's link to the process that is up, and the process's number. Waits for a start that is under way.
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

    /// The slot's link is good for the next one.
    pub(super) fn give_back(&self, slot: usize, link: Link, number: u64) {
        let mut state = self.lock();
        if state.number == number
            && let Some(place) = state.links.get_mut(slot)
        {
            *place = Some(link);
        }
    }

    /// Ends process `number` if there still is one, and says how it ended: by itself if it did so before.
    pub(super) fn end(&self, number: u64, reason: impl Into<String>) -> InferenceError {
        self.kill(number, reason.into());
        let ended = |state: &mut State| match &state.ended {
            Some((of, how)) if *of >= number => Some(how.clone()),
            _ => None,
        };
        let stuck = || lost("its process was killed and does not end: its driver may hold it");
        self.wait(Instant::now() + UNTIL_GONE, ended).unwrap_or_else(stuck)
    }

    /// Has process `number` killed.
    pub(super) fn kill(&self, number: u64, reason: String) {
        let mut state = self.lock();
        if state.number != number {
            return;
        }
        if let Some(process) = &state.process {
            // It has ended already, or does now.
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
    /// Why nothing new begins.
    fn refusal(&self) -> Option<InferenceError> {
        match &self.phase {
            Phase::Down(why) => Some(why.clone()),
            _ if self.closing => Some(lost("it was given back")),
            _ => None,
        }
    }
}

pub(super) fn lost(why: impl Into<String>) -> InferenceError {
    InferenceError::DeviceLost(why.into())
}
