//! Runs pipelines of WebAssembly operators, each instance with exactly the resources it was given: what a program that
//! embeds sage-host uses.
//!
//! | module | one idea |
//! |---|---|
//! | [`connector`] | built-in sources and sinks |
//! | [`engine`] | lanes, partitioning, retries, drain |
//! | [`worker`] | processes of their own for instances, devices and single questions |

pub mod connector;
pub mod engine;
pub mod worker;
