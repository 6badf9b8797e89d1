//! What models cost through the import, beside what they cost when their backend is called directly.
//!
//! Nothing is made up for it: a run is admitted and its service opened as the engine does ([`served`]), guests are real components, and only the
//! pipeline around them is left out.

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
