use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rows;
use crate::{InferenceError, LeaseUse, Tensor};
use sage_observe::InferenceCounters;

/// One call, from when it was asked for until nothing of it runs any more. Its caller and the threads of the device share it.
///
/// **Who waits for whom.** The caller waits on `answered`, which the thread that gives the last part of the answer, or an error, signals. Nobody
/// waits for the caller: what comes after it gave up is dropped. The end of a lease signals nobody here, since a grace ends by the clock alone:
/// the caller looks for it every [`Call::LOOK`], and for the cut of its pipeline's run too.
///
/// The use of the lease is over when the last of them lets go: a lease whose caller is gone stays in use while the device works for it.
#[derive(Debug)]
pub(super) struct Call {
    lease_use: LeaseUse,
    /// How many rows its answer has; 1 where they mean nothing.
    rows: usize,
    inputs: Mutex<Vec<Tensor>>,
    answer: Mutex<Answer>,
    answered: Condvar,
    /// Of the instance that calls.
    pub(super) counters: Arc<InferenceCounters>,
}

#[derive(Debug, Default)]
struct Answer {
    started: bool,
    /// By their first row, as they come.
    parts: Vec<(usize, Vec<Tensor>)>,
    /// Rows that these are.
    rows: usize,
    error: Option<InferenceError>,
    /// The caller has gone.
    given_up: bool,
}

impl Call {
    /// How often a caller looks whether its lease still stands, and says to other runs on the device that this process goes on. A guest learns within this that it does not; a look is a lock, so that calls that
    /// take longer than this do not feel it.
    pub(super) const LOOK: Duration = Duration::from_millis(20);

    pub(super) fn new(
        lease_use: LeaseUse,
        inputs: Vec<Tensor>,
        rows: usize,
        counters: Arc<InferenceCounters>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lease_use,
            rows,
            inputs: Mutex::new(inputs),
            answer: Mutex::default(),
            answered: Condvar::new(),
            counters,
        })
    }

    /// The rows of its answer.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Waits for the answer, and calls `look` every [`Call::LOOK`].
    ///
    /// # Errors
    /// What the run said; [`InferenceError::Deadline`] at `until`; the lease has ended; `cut`, which is [`InferenceError::DeviceLost`]. Nothing
    /// that comes later is kept.
    pub(super) fn wait(
        &self,
        until: Instant,
        cut: &AtomicBool,
        look: impl Fn(),
    ) -> Result<Vec<Tensor>, InferenceError> {
        let mut answer = self.answer();
        loop {
            if let Some(error) = answer.error.take() {
                answer.given_up = true;
                return Err(error);
            }
            if answer.rows >= self.rows {
                let parts = std::mem::take(&mut answer.parts);
                answer.given_up = true;
                drop(answer);
                return self.whole(parts);
            }
            let now = Instant::now();
            if now >= until {
                answer.give_up();
                return Err(InferenceError::Deadline);
            }
            if cut.load(Ordering::Acquire) {
                answer.give_up();
                return Err(Self::cut());
            }
            let stands = if answer.started { self.lease_use.still_good() } else { self.may_start() };
            if let Err(error) = stands {
                answer.give_up();
                return Err(error);
            }
            let next = now.checked_add(Self::LOOK).map_or(until, |next| next.min(until));
            let waited = self.answered.wait_timeout(answer, next.saturating_duration_since(now));
            let (waited, timer) = waited.unwrap_or_else(PoisonError::into_inner);
            answer = waited;
            if timer.timed_out() {
                look();
            }
        }
    }

    /// What calls end with when their pipeline's run is cut.
    pub(super) fn cut() -> InferenceError {
        InferenceError::DeviceLost("the run of its pipeline was cut".to_owned())
    }

    /// Begins a run for it; whether that is its first.
    ///
    /// # Errors
    /// It needs none: its caller is gone, or its lease does not stand any more, which it is told.
    pub(super) fn start(&self) -> Result<bool, ()> {
        let stands = self.may_start();
        let mut answer = self.answer();
        if answer.is_over() {
            return Err(());
        }
        let is_first = !std::mem::replace(&mut answer.started, true);
        drop(answer);
        stands.map(|()| is_first).map_err(|error| self.fail(error))
    }

    /// Some of its inputs' rows, with others': [`rows::join`] reads them under their locks.
    pub(super) fn inputs(&self) -> MutexGuard<'_, Vec<Tensor>> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the answer for some of its rows.
    pub(super) fn answer_rows(&self, range: &Range<usize>, outputs: Vec<Tensor>) {
        let mut answer = self.answer();
        if answer.is_over() {
            return;
        }
        answer.rows += range.len();
        answer.parts.push((range.start, outputs));
        if answer.rows >= self.rows {
            self.answered.notify_all();
        }
    }

    /// There is none.
    pub(super) fn fail(&self, error: InferenceError) {
        let mut answer = self.answer();
        if !answer.is_over() {
            answer.parts = Vec::new();
            answer.error = Some(error);
            self.answered.notify_all();
        }
    }

    /// What its lease allows at the start of a run: one that is being taken away only finishes what runs.
    fn may_start(&self) -> Result<(), InferenceError> {
        self.lease_use.lease().enter().map(drop)
    }

    /// The parts of the answer in the order of their rows.
    fn whole(&self, mut parts: Vec<(usize, Vec<Tensor>)>) -> Result<Vec<Tensor>, InferenceError> {
        self.lease_use.still_good()?;
        if let [(_, alone)] = parts.as_mut_slice() {
            return Ok(std::mem::take(alone));
        }
        parts.sort_by_key(|(first, _)| *first);
        let all: Vec<_> =
            parts.iter().map(|(_, tensors)| (tensors.as_slice(), 0..tensors.first().map_or(0, Tensor::rows))).collect();
        rows::join(&all).ok_or_else(|| {
            InferenceError::Backend("the answers for the parts of a call have different shapes".to_owned())
        })
    }

    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn give_up(&mut self) {
        self.given_up = true;
        self.parts = Vec::new();
    }

    fn is_over(&self) -> bool {
        self.given_up || self.error.is_some()
    }
}
