//! The functions of `sage:operator` that guests import. Each function reads its arguments in place in the
//! guest's memory and copies them once. Reading in place is safe while the import runs.

mod edges;
mod inference;
mod log;
mod metrics;
mod output;
mod state;

pub(super) use edges::link_edges;
pub(super) use inference::link_inference;
pub(super) use log::link_log;
pub(super) use metrics::link_metrics;
pub(super) use output::{link_fields_output, link_output, link_windows_output};
pub(super) use state::link_state;
