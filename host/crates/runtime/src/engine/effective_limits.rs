use super::parts::Parts;
use sage_plan::{Limits, Stage};

/// Bytes that a batch needs for a record in addition to the record's own bytes.
const RECORD_OVERHEAD: u64 = 64;

/// The limits of a stage, with a record size that fits every outgoing edge.
pub(super) fn effective_limits(parts: &Parts, stage: &Stage) -> Limits {
    let mut limits = stage.limits.clone();
    for edge in &stage.outputs {
        let to = parts.plan.edge(*edge).to;
        let granted = parts.grant.stage(to);
        let room = granted.edge_bytes / u64::from(granted.lanes.max(1));
        limits.record_bytes = limits.record_bytes.min(room.saturating_sub(RECORD_OVERHEAD));
    }
    limits
}
