//! Cost of model calls through the import, beside the cost of direct calls of their backend.
//!
//! The setup is real: a run is admitted and its service opened as the engine does ([`served`]), and guests
//! are real components. Only the pipeline around them is missing.

mod batching;
mod direct;
mod first_result;
mod models;
mod overhead;
mod queue;
mod served;
mod transformer;

pub(crate) use batching::batching;
pub(crate) use first_result::first_result;
pub(crate) use overhead::overhead;
pub(crate) use queue::queue;
