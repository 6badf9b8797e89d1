use super::chain::Chain;
use super::component_source_lane::ComponentSourceLane;
use super::operator_lane::OperatorLane;
use super::placement::Placement;
use super::sink_lane::SinkLane;
use super::source_lane::SourceLane;
use sage_plan::StageId;

/// A lane, and the CPUs of its thread.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) stage: StageId,
    pub(super) placement: Placement,
    pub(super) task: Task,
}

/// The work of a lane.
pub(super) enum Task {
    Source(SourceLane),
    ComponentSource(Box<ComponentSourceLane>),
    Operator(Box<OperatorLane>),
    Sink(SinkLane),
    /// Several of the lanes above.
    Chain(Box<Chain>),
}
