use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::InstanceSetup;
use sage_plan::{Capabilities, Kind, Limits};

use sage_process::FarEnd;
use sage_process::LinkSetup;

/// What a worker process is told on its standard input, as JSON: everything it will ever know of the pipeline, but for the records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WorkerSetup {
    pub(super) operator: String,
    pub(super) instance: u32,
    pub(super) parallelism: u32,
    /// What `open` gets: JSON text.
    pub(super) config: String,
    pub(super) limits: Limits,
    pub(super) capabilities: Capabilities,
    /// Bytes of linear memories, tables and keyed state, all lanes together.
    pub(super) memory_cap: u64,
    /// Bytes of private memory that the process may have, where no group of the kernel's holds it to that.
    pub(super) data_bytes: Option<u64>,
    /// The share of a CPU to which the lane holds itself, in 1/10,000, where no kernel quota does.
    pub(super) share: Option<u32>,
    pub(super) kind: Kind,
    /// What the runtime needs for each copy of the component, of that.
    pub(super) instance_bytes: u64,
    /// The component's side outputs.
    pub(super) ports: Vec<String>,
    /// Whether it may keep keyed state.
    pub(super) keeps_state: bool,
    /// Descriptors, by number.
    pub(super) component: RawFd,
    pub(super) lanes: Vec<LaneSetup>,
}

/// One lane of the instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LaneSetup {
    /// The CPU that it has to itself.
    pub(super) cpu: Option<u32>,
    pub(super) own: RawFd,
    pub(super) peer: RawFd,
    pub(super) doorbell: RawFd,
    pub(super) peer_doorbell: RawFd,
    /// Where its guest's calls of models go, if it may make any.
    pub(super) models: Option<LinkSetup>,
}

impl WorkerSetup {
    /// What stays the same from one worker of an instance to the next; the descriptors are filled in for each.
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
            component: -1,
            lanes: order.lanes.iter().map(lane).collect(),
        }
    }

    /// With the descriptors of one worker, which keep their numbers in it.
    /// `models` is empty or has one for each lane.
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

/// Grants that mean the same in a process whose folder is another.
fn anywhere(mut granted: Capabilities) -> Capabilities {
    for folder in &mut granted.folders {
        if let Ok(path) = std::path::absolute(&folder.host) {
            folder.host = path;
        }
    }
    granted
}
