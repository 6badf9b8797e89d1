use std::sync::Arc;

use super::batch_time::BatchTime;
use super::sequencer::Sequencer;
use sage_batch::{Inbox, SharedRoom};
use sage_machine::MemoryBudget;
use sage_observe::{
    ErrorCounts, EventTimeGauge, GuestMetrics, InferenceCounters, InstanceCounters, KernelReading, Latency,
};

/// The parts of a stage's instances that are shared with observers.
pub(super) struct StageParts {
    pub(super) instances: Vec<InstanceParts>,
    pub(super) latency: Option<Arc<Latency>>,
    /// The time that its instances need for a batch, if there are several.
    pub(super) batch_time: Option<Arc<BatchTime>>,
    /// The room behind the first batches of its inboxes, if there are several instances.
    pub(super) room: Option<Arc<SharedRoom>>,
}

/// The parts of one instance that are shared with observers.
pub(super) struct InstanceParts {
    pub(super) counters: Arc<InstanceCounters>,
    pub(super) errors: Arc<ErrorCounts>,
    pub(super) metrics: Arc<GuestMetrics>,
    pub(super) budget: Option<Arc<MemoryBudget>>,
    pub(super) kernel: Option<Arc<dyn KernelReading>>,
    pub(super) inference: Option<Arc<InferenceCounters>>,
    /// How far event time is: of each inbox, or of the lane that has none.
    pub(super) event_times: Vec<Arc<EventTimeGauge>>,
    /// A single inbox, or one for each lane if lanes take by key.
    pub(super) inboxes: Vec<Arc<Inbox>>,
    /// Orders the outputs of the lanes, if they take from one inbox.
    pub(super) sequencer: Option<Arc<Sequencer>>,
}
