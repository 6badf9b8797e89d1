//! Runs pipelines of WebAssembly operators and gives each instance exactly its granted resources. Programs that
//! embed sage-host use this crate.
//!
//! | module | contents |
//! |---|---|
//! | [`connector`] | built-in sources and sinks |
//! | [`engine`] | lanes, partitioning, retries, drain |
//! | [`worker`] | separate processes for instances, devices and one-shot tasks |

pub mod connector;
pub mod engine;
pub mod worker;
