//! The output of a run for its user: counters, the run summary, progress, metrics, logs.
//!
//! Lanes write the counters (relaxed atomics, a few additions per batch), and any thread may read them at any
//! time. No code here ever makes a lane wait.
//!
//! The engine creates a [`Registry`] of everything that can be observed. The registry has three readers:
//! [`Progress`] (the screen, during the run), [`MetricsServer`] (Prometheus, during the run) and [`Summary`]
//! (once, at the end). Messages and progress share one [`Screen`], which is stderr: stdout belongs to the
//! records.
//!
//! Invariants:
//!
//! - The metrics that guests publish are bounded in number and in the length of their names.
//! - A guest's message can neither pass for another message nor control the terminal.
//! - If the records of a summary do not add up, the summary reports it.

mod counters;
mod device_reading;
mod epoch_exposition;
mod epoch_progress;
mod error_counts;
mod event_time_exposition;
mod event_time_gauge;
mod exposition;
mod guest_metrics;
mod inference_counters;
mod inference_exposition;
mod inference_summary;
mod kernel_exposition;
mod kernel_reading;
mod kernel_summary;
mod labels;
mod latency;
mod limit_standings;
mod logging;
mod message_layer;
mod metrics_connections;
mod metrics_routes;
mod metrics_server;
mod numbers;
mod outcome;
mod progress;
mod progress_bars;
mod progress_line;
mod registry;
mod screen;
mod seconds;
mod source_reading;
mod summary;
mod summary_table;

pub use counters::{Counter, Gauge, InstanceCounters};
pub use device_reading::{DeviceNumbers, DeviceReading};
pub use epoch_progress::EpochProgress;
pub use error_counts::ErrorCounts;
pub use event_time_gauge::EventTimeGauge;
pub use exposition::metrics_text;
pub use guest_metrics::{GuestMetrics, Observations, Series};
pub use inference_counters::{InferenceCounters, ModelCounters};
pub use inference_summary::InferenceSummary;
pub use kernel_reading::{KernelNumbers, KernelReading};
pub use kernel_summary::KernelSummary;
pub use latency::Latency;
pub use limit_standings::{LimitStanding, LimitStandings, LostLimit};
pub use logging::{LogFormat, LogSettings, LoggingError, pass_messages, start_logging};
pub use message_layer::{Message, MessageOrigin};
pub use metrics_server::{MetricsError, MetricsServer};
pub use outcome::{Outcome, RunFailure};
pub use progress::{Progress, ProgressMode, ReadSources};
pub use registry::{DeviceView, InstanceView, MemoryReading, Registry, StageView};
pub use screen::{MessageWriter, Screen, colours_wanted};
pub use source_reading::SourceReading;
pub use summary::{StageSummary, Summary};
