//! Event time as pure functions: how far the event time of a stream is, and of several streams together; which windows a
//! record belongs to, when a window closes, and which record is late.
//!
//! Invariants:
//!
//! - Nothing here reads a clock, does I/O or panics: time is passed in, in microseconds since the Unix epoch, UTC.
//! - Times before 1970 and at both ends of the range are right or refused, never wrapped.
//! - A watermark never falls.

mod sessions;
mod source_watermark;
mod watermark;
mod watermarks;
mod window;
mod window_rules;

pub use sessions::Sessions;
pub use source_watermark::{SourceWatermark, WatermarkRule};
pub use watermark::Watermark;
pub use watermarks::{Before, Watermarks};
pub use window::Window;
pub use window_rules::{WindowRules, WindowShape};
