//! What whoever runs a pipeline sees of it: counters, the run summary, progress, metrics, logs.
//!
//! Counters are written by lanes (relaxed atomics, a few additions a batch) and read by anybody at any time; nothing here
//! ever makes a lane wait.

mod counters;
mod error_counts;
mod guest_metrics;
mod latency;
mod registry;

pub use counters::{Counter, Gauge, InstanceCounters};
pub use error_counts::ErrorCounts;
pub use guest_metrics::{GuestMetrics, Observations, Series};
pub use latency::Latency;
pub use registry::{InstanceView, MemoryReading, Registry, StageView};
