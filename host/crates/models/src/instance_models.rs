use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{DeviceQueue, InferenceError, Lease, LeaseState, LeaseView, ModelAccess, ModelFacts, NamedTensor};
use sage_observe::InferenceCounters;

/// The model access of an instance that holds leases. Its guests' calls go to the queues of its devices.
///
/// Admission granted the leases, so no call waits for one: an instance either holds its leases or has lost
/// them. With several devices, calls alternate between the leases that are still held.
#[derive(Debug)]
pub struct InstanceModels {
    /// A lease and a queue for each device.
    pub(super) leases: Vec<(Arc<Lease>, Arc<DeviceQueue>)>,
    /// The models that the operator lists.
    pub(super) listed: BTreeMap<String, ListedModel>,
    /// Names of all declared models, to tell a denied model from an unknown one.
    pub(super) declared: Arc<[String]>,
    pub(super) counters: Arc<InferenceCounters>,
    pub(super) turn: AtomicUsize,
}

/// A model that an operator lists.
#[derive(Debug)]
pub(super) struct ListedModel {
    /// The name of the model on its devices. A file with two declared names is one model.
    pub(super) runs_as: String,
    pub(super) facts: Arc<ModelFacts>,
}

impl InstanceModels {
    /// The counters of the instance's calls to its devices.
    #[must_use]
    pub fn counters(&self) -> &Arc<InferenceCounters> {
        &self.counters
    }

    /// A held lease, in rotation. If none is held, the error of the first lease.
    fn held(&self) -> Result<&(Arc<Lease>, Arc<DeviceQueue>), InferenceError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, from) = self.leases.split_at(turn.checked_rem(self.leases.len()).unwrap_or(0));
        let mut in_turn = from.iter().chain(before);
        in_turn.find(|(lease, _)| lease.state() == LeaseState::Held).map_or_else(
            || match self.leases.first() {
                Some(first) => first.0.state().check().map(|()| first),
                None => Err(InferenceError::NoLease),
            },
            Ok,
        )
    }

    fn listed(&self, model: &str) -> Result<&ListedModel, InferenceError> {
        self.listed.get(model).ok_or_else(|| match self.declared.iter().any(|name| name == model) {
            true => InferenceError::DeniedModel(model.to_owned()),
            false => InferenceError::UnknownModel(model.to_owned()),
        })
    }

    fn counted<T>(&self, answer: Result<T, InferenceError>) -> Result<T, InferenceError> {
        answer.inspect_err(|error| self.counters.errors.count(error.code()))
    }
}

impl ModelAccess for InstanceModels {
    fn acquire(&self, _timeout: Duration) -> Result<LeaseView, InferenceError> {
        self.counted(self.held().map(|_| self.view()))
    }

    fn view(&self) -> LeaseView {
        let held = self.leases.iter().filter(|(lease, _)| lease.state() == LeaseState::Held);
        let share = held.map(|(lease, _)| lease.share()).fold(0, u32::saturating_add);
        let state = match (share, self.leases.first()) {
            (1.., _) => LeaseState::Held,
            (0, first) => first.map_or(LeaseState::Released, |(lease, _)| lease.state()),
        };
        LeaseView { state, share }
    }

    fn open(&self, model: &str) -> Result<Arc<ModelFacts>, InferenceError> {
        self.counted(self.held().and_then(|_| self.listed(model)).map(|listed| Arc::clone(&listed.facts)))
    }

    fn run(
        &self,
        model: &str,
        inputs: Vec<NamedTensor>,
        timeout: Duration,
    ) -> Result<Vec<NamedTensor>, InferenceError> {
        let until = Instant::now().checked_add(timeout).ok_or(InferenceError::Deadline)?;
        let ListedModel { runs_as, facts } = self.counted(self.listed(model))?;
        let (lease, queue) = self.counted(self.held())?;
        let (inputs, _rows) = self.counted(facts.arrange(inputs))?;
        let outputs = queue.run(lease, runs_as, inputs, until, &self.counters)?;
        let names = facts.outputs.iter().map(|spec| spec.name.clone());
        Ok(names.zip(outputs).map(|(name, tensor)| NamedTensor { name, tensor }).collect())
    }
}
