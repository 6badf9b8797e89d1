//! What whoever runs a pipeline sees of it: counters, the run summary, progress, metrics, logs.
//!
//! Counters are written by lanes (relaxed atomics, a few additions a batch) and read by anybody at any time; nothing here
//! ever makes a lane wait.

mod counters;

pub use counters::{Counter, Gauge, InstanceCounters};
