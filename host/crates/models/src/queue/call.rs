use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rows;
use crate::{InferenceError, LeaseUse, Tensor};
use sage_observe::InferenceCounters;

/// A call, from its request until no part of it runs any more. Its caller and the threads of the device share
/// it.
///
/// **Waiting.** The caller waits on `answered`, which is signalled with the last part of the result or with
/// an error. No thread waits for the caller: a result after the caller gave up is dropped. The end of a lease
/// sends no signal, because a grace ends by the clock alone. Therefore the caller checks the lease and the
/// cut of its pipeline's run every [`Call::LOOK`].
///
/// The use of the lease ends when the last owner of the call drops it. If a caller has left, its lease stays
/// in use while the device works for it.
#[derive(Debug)]
pub(super) struct Call {
    lease_use: LeaseUse,
    /// Number of rows of the result. 1 if rows have no meaning for the model.
    rows: usize,
    inputs: Mutex<Vec<Tensor>>,
    answer: Mutex<Answer>,
    answered: Condvar,
    /// The counters of the calling instance.
    pub(super) counters: Arc<InferenceCounters>,
}

#[derive(Debug, Default)]
struct Answer {
    started: bool,
    /// Parts of the result with their first row, in the order of their arrival.
    parts: Vec<(usize, Vec<Tensor>)>,
    /// Number of rows in `parts`.
    rows: usize,
    error: Option<InferenceError>,
    /// Whether the caller has left.
    given_up: bool,
}

impl Call {
    /// Interval at which a caller checks its lease, and tells other runs on the device that this process is
    /// alive. A guest learns of the end of its lease within this time. A check takes a lock, which is
    /// negligible for calls that last longer than this.
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

    /// Number of rows of the result.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Waits for the result, and calls `look` every [`Call::LOOK`].
    ///
    /// # Errors
    /// The error of the run; [`InferenceError::Deadline`] at `until`; the lease has ended; `cut`, which gives
    /// [`InferenceError::DeviceLost`]. Anything that comes later is dropped.
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

    /// The error of calls when their pipeline's run is cut.
    pub(super) fn cut() -> InferenceError {
        InferenceError::DeviceLost("the run of its pipeline was cut".to_owned())
    }

    /// Begins a run for the call. Returns whether it is the first run.
    ///
    /// # Errors
    /// No run is needed: the caller has left, or the lease has ended. In the second case the caller gets the
    /// error.
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

    /// The inputs. [`rows::join`] reads the inputs of several calls under their locks.
    pub(super) fn inputs(&self) -> MutexGuard<'_, Vec<Tensor>> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers the result for some of the rows.
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

    /// Ends the call with an error.
    pub(super) fn fail(&self, error: InferenceError) {
        let mut answer = self.answer();
        if !answer.is_over() {
            answer.parts = Vec::new();
            answer.error = Some(error);
            self.answered.notify_all();
        }
    }

    /// Checks that the lease allows a run to start. A draining lease allows only running calls to finish.
    fn may_start(&self) -> Result<(), InferenceError> {
        self.lease_use.lease().enter().map(drop)
    }

    /// The complete result, from its parts in the order of their rows.
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
