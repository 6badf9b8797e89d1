//! The functions of `sage:operator` that guests import. Each reads its arguments where they lie in the guest's memory,
//! which is safe for as long as the import runs, and copies once.

mod inference;
mod log;
mod metrics;
mod output;
mod state;

pub(super) use inference::link_inference;
pub(super) use log::link_log;
pub(super) use metrics::link_metrics;
pub(super) use output::link_output;
pub(super) use state::link_state;
