use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::grace::GRACE;
use super::tensor_wire::{
    LARGEST_CALL, LONGEST_FACTS, get_json, get_named, get_outcome, measure_name, measure_named, put_named,
};
use sage_batch::wire::{WireError, put_bytes, put_u64};
use sage_models::{InferenceError, LeaseState, LeaseView, ModelAccess, ModelFacts, NamedTensor};
use sage_process::Link;

/// The models of a lane, as its worker sees them. Each call is a message to the host, and the answer of the
/// host is complete.
///
/// **Waiting.** The host answers within the timeout of the call. If it does not, the link is out of step, and
/// every later call is refused. A host that is so slow ends the worker in any case.
#[derive(Debug)]
pub(super) struct ModelsLink {
    /// `None` after the host failed to answer.
    link: Mutex<Option<Link>>,
}

/// The kinds of requests to the host. They are answered in order, and each answer begins with its outcome.
pub(super) mod ask {
    /// Wait for the lease. Content: the timeout. Answer: a [`super::LeaseWords`].
    pub(in crate::worker) const ACQUIRE: u64 = 1;
    /// Open a model. Content: its name. Answer: its facts.
    pub(in crate::worker) const OPEN: u64 = 2;
    /// Run a model. Content: its name, the timeout and its inputs. Answer: its outputs.
    pub(in crate::worker) const RUN: u64 = 3;
    /// Read the current state of the lease. Answer: a [`super::LeaseWords`].
    pub(in crate::worker) const VIEW: u64 = 4;
}

/// A [`LeaseView`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LeaseWords {
    pub(super) state: LeaseState,
    pub(super) share: u32,
}

/// Maximum bytes of a [`LeaseWords`] in JSON.
const LONGEST_LEASE: u64 = 256;

impl ModelsLink {
    pub(super) fn new(link: Link) -> Self {
        Self { link: Mutex::new(Some(link)) }
    }

    fn ask<T>(
        &self,
        timeout: Duration,
        request: impl FnOnce(&mut Link) -> Result<(), WireError>,
        answer: impl FnOnce(&mut Link) -> Result<T, WireError>,
    ) -> Result<T, InferenceError> {
        let mut kept = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut link) = kept.take() else {
            return Err(InferenceError::DeviceLost("the host did not answer an earlier call".to_owned()));
        };
        link.begin();
        // The host needs some extra time. If it has no answer in time, it reports that.
        link.set_deadline(Instant::now().checked_add(timeout.saturating_add(GRACE)));
        let exchanged = request(&mut link).and_then(|()| {
            link.send();
            let outcome = get_outcome(&mut link)?;
            let answer = match outcome {
                Ok(()) => Ok(answer(&mut link)?),
                Err(error) => Err(error),
            };
            link.taken();
            Ok(answer)
        });
        match exchanged {
            Ok(answer) => {
                *kept = Some(link);
                answer
            }
            Err(WireError::Overdue(_) | WireError::Slow(_)) => Err(InferenceError::Deadline),
            Err(error) => Err(InferenceError::DeviceLost(format!("the link to the host: {error}"))),
        }
    }
}

impl ModelAccess for ModelsLink {
    fn acquire(&self, timeout: Duration) -> Result<LeaseView, InferenceError> {
        let request = |link: &mut Link| {
            put_u64(link, ask::ACQUIRE)?;
            put_timeout(link, timeout)
        };
        let LeaseWords { state, share } = self.ask(timeout, request, |link| get_json(link, LONGEST_LEASE))?;
        Ok(LeaseView { state, share })
    }

    /// If the host does not answer, nothing is held.
    fn view(&self) -> LeaseView {
        let asked = self.ask(Duration::ZERO, |link| put_u64(link, ask::VIEW), |link| get_json(link, LONGEST_LEASE));
        match asked {
            Ok(LeaseWords { state, share }) => LeaseView { state, share },
            Err(_) => LeaseView { state: LeaseState::DeviceLost, share: 0 },
        }
    }

    fn open(&self, model: &str) -> Result<Arc<ModelFacts>, InferenceError> {
        measure_name(model, "bytes of a model's name are")?;
        let request = |link: &mut Link| {
            put_u64(link, ask::OPEN)?;
            put_bytes(link, model.as_bytes())
        };
        self.ask(Duration::ZERO, request, |link| get_json(link, LONGEST_FACTS)).map(Arc::new)
    }

    fn run(
        &self,
        model: &str,
        inputs: Vec<NamedTensor>,
        timeout: Duration,
    ) -> Result<Vec<NamedTensor>, InferenceError> {
        measure_name(model, "bytes of a model's name are")?;
        measure_named(&inputs, "input", LARGEST_CALL)?;
        let request = |link: &mut Link| {
            put_u64(link, ask::RUN)?;
            put_bytes(link, model.as_bytes())?;
            put_timeout(link, timeout)?;
            put_named(link, &inputs)
        };
        self.ask(timeout, request, |link| get_named(link, LARGEST_CALL))
    }
}

fn put_timeout(link: &mut Link, timeout: Duration) -> Result<(), WireError> {
    put_u64(link, u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}
