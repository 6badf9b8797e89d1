use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::{InstanceSetup, backtraces_are_shown};
use sage_plan::{Capabilities, Kind, Limits, RecordShape};

use sage_process::FarEnd;
use sage_process::LinkSetup;
use sage_time::WindowRules;

/// The setup message of a worker process, as JSON on its standard input. It contains everything that the worker
/// ever learns about the pipeline, apart from the records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WorkerSetup {
    pub(super) operator: String,
    pub(super) instance: u32,
    pub(super) parallelism: u32,
    /// The configuration for `open`, as JSON text.
    pub(super) config: String,
    pub(super) limits: Limits,
    pub(super) capabilities: Capabilities,
    /// Maximum bytes of linear memories, tables and keyed state, for all lanes together.
    pub(super) memory_cap: u64,
    /// Maximum bytes of private memory of the process, if no cgroup enforces a limit.
    pub(super) data_bytes: Option<u64>,
    /// The CPU share that the lane itself keeps, in 1/10,000, if no kernel quota enforces it.
    pub(super) share: Option<u32>,
    pub(super) kind: Kind,
    /// The part of `memory_cap` that the runtime needs for each copy of the component, in bytes.
    pub(super) instance_bytes: u64,
    /// The component's side outputs.
    pub(super) ports: Vec<String>,
    /// Whether the component may keep keyed state.
    pub(super) keeps_state: bool,
    /// The fields that the component reads and gives, if its records come by field.
    pub(super) shape: Option<RecordShape>,
    /// Names of the operator's inputs, by number.
    pub(super) edges: Vec<Option<String>>,
    /// The windows of a window operator.
    pub(super) windows: Option<WindowRules>,
    /// Whether failures carry the guest's call stack.
    pub(super) backtraces: bool,
    /// Descriptors, by number.
    pub(super) component: RawFd,
    pub(super) lanes: Vec<LaneSetup>,
}

/// The setup of a lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LaneSetup {
    /// The leased CPU of the lane.
    pub(super) cpu: Option<u32>,
    pub(super) own: RawFd,
    pub(super) peer: RawFd,
    pub(super) doorbell: RawFd,
    pub(super) peer_doorbell: RawFd,
    /// The link for its guest's model calls, if the guest may make any.
    pub(super) models: Option<LinkSetup>,
}

impl WorkerSetup {
    /// The part of the setup that is the same for all workers of an instance. The descriptors are filled in for
    /// each worker.
    pub(super) fn template(order: &InstanceSetup<'_>, share: Option<u32>, data_bytes: Option<u64>) -> Self {
        let (spec, facts) = (&order.spec, order.loaded.facts());
        let lane = |cpu: &Option<sage_machine::CpuSet>| LaneSetup {
            cpu: cpu.as_ref().and_then(|cpus| cpus.iter().next()),
            own: -1,
            peer: -1,
            doorbell: -1,
            peer_doorbell: -1,
            models: None,
        };
        Self {
            operator: spec.operator.to_string(),
            instance: spec.instance,
            parallelism: spec.parallelism,
            config: spec.config.to_string(),
            limits: spec.limits.clone(),
            capabilities: anywhere(spec.capabilities.clone()),
            memory_cap: spec.budget.cap(),
            data_bytes,
            share,
            kind: facts.kind,
            instance_bytes: order.loaded.instance_bytes(),
            ports: facts.ports.clone(),
            keeps_state: facts.keeps_state(),
            shape: facts.shape().cloned(),
            edges: spec.edges.to_vec(),
            windows: spec.windows,
            backtraces: backtraces_are_shown(),
            component: -1,
            lanes: order.lanes.iter().map(lane).collect(),
        }
    }

    /// The setup with the descriptors of one worker, which have the same numbers there. `models` is empty or
    /// has one entry for each lane.
    pub(super) fn with(&self, component: &Arc<OwnedFd>, ends: &[FarEnd], models: &[FarEnd]) -> Self {
        let mut order = self.clone();
        order.component = component.as_raw_fd();
        for (lane, end) in order.lanes.iter_mut().zip(ends) {
            lane.own = end.own.as_raw_fd();
            lane.peer = end.peer.as_raw_fd();
            lane.doorbell = end.doorbell.as_raw_fd();
            lane.peer_doorbell = end.peer_doorbell.as_raw_fd();
        }
        for (lane, end) in order.lanes.iter_mut().zip(models) {
            lane.models = Some(LinkSetup::of(end));
        }
        order
    }

    /// All descriptors that the worker keeps.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let lanes = self.lanes.iter().flat_map(|lane| [lane.own, lane.peer, lane.doorbell, lane.peer_doorbell]);
        let models = self.lanes.iter().filter_map(|lane| lane.models).flat_map(|link| link.descriptors());
        std::iter::once(self.component).chain(lanes).chain(models).collect::<Vec<_>>().into_iter()
    }
}

/// Makes the paths of granted folders absolute, because the worker has another working folder.
fn anywhere(mut granted: Capabilities) -> Capabilities {
    for folder in &mut granted.folders {
        if let Ok(path) = std::path::absolute(&folder.host) {
            folder.host = path;
        }
    }
    granted
}
