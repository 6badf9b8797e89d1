use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::contract::LevelView;
use super::failure::{FailureCode, HostTrap};
use sage_text::plain_text;

/// What a guest says, on its way to the host's log, held to `limits.log_bytes_per_second`.
///
/// A message counts with what it costs when it is printed: what stands before and after it in its line, the marks of further lines, and escapes.
/// Over the limit messages are dropped and counted; a single call that goes over it 16 times is a flood, and fails.
#[derive(Debug)]
pub struct GuestLog {
    to: LogTo,
    operator: Arc<str>,
    instance: u32,
    per_second: u64,
    in_call: u64,
    rate: LogRate,
}

/// What a lane's guests have logged lately. Goes on from a guest to the one that takes its place, so that failing is no way to log more.
#[derive(Debug)]
pub(super) struct LogRate {
    window: Instant,
    in_window: u64,
    dropped: u64,
}

impl Default for LogRate {
    fn default() -> Self {
        Self { window: Instant::now(), in_window: 0, dropped: 0 }
    }
}

/// Where a guest's log lines go.
#[derive(Debug, Clone, Default)]
pub enum LogTo {
    /// Into this process's log.
    #[default]
    Here,
    /// Kept until somebody takes them: the log is another process's.
    Kept(Arc<KeptLines>),
}

/// A line with its level.
pub type LogLine = (tracing::Level, String);

/// Log lines that wait to be taken: as many as the guests' rates let through, and [`KeptLines::MOST`] with [`KeptLines::MOST_BYTES`].
#[derive(Debug, Default)]
pub struct KeptLines(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<LogLine>,
    bytes: usize,
}

impl KeptLines {
    /// The most lines that wait; the oldest stay.
    pub const MOST: usize = 1024;
    /// The most text that they have together: a minute of the usual rate.
    pub const MOST_BYTES: usize = 4 << 20;

    /// What was logged since this was last asked.
    #[must_use]
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).lines
    }

    /// Keeps a line; `false` if there is no room.
    pub fn keep(&self, line: LogLine) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.bytes + line.1.len();
        let fits = kept.lines.len() < Self::MOST && bytes <= Self::MOST_BYTES;
        if fits {
            kept.bytes = bytes;
            kept.lines.push(line);
        }
        fits
    }
}

/// How many seconds' worth of log one call may try to write.
const FLOOD: u64 = 16;
/// The longest message; the rest is cut off (and counted as dropped).
const LONGEST: usize = 8 << 10;
/// What a line has beside the message and the operator's name: 68 bytes of text, or 110 of JSON.
const LINE: usize = 110;
/// What stands before each further line of a message, beside its line end.
const FURTHER_LINE: usize = 4;

impl GuestLog {
    /// The log of one guest.
    #[must_use]
    pub fn new(to: LogTo, operator: Arc<str>, instance: u32, per_second: u64) -> Self {
        Self { to, operator, instance, per_second, in_call: 0, rate: LogRate::default() }
    }

    /// Goes on from another guest of the lane.
    pub(super) fn after(mut self, rate: LogRate) -> Self {
        self.rate = rate;
        self
    }

    /// For the next guest of the lane.
    pub(super) fn into_rate(self) -> LogRate {
        self.rate
    }

    pub(super) fn begin_call(&mut self) {
        self.in_call = 0;
    }

    /// Bytes dropped since this was last asked.
    #[must_use]
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.rate.dropped)
    }

    /// Counts a message that the guest tries to write, wherever it goes.
    pub(super) fn count(&mut self, message: &str) -> wasmtime::Result<()> {
        // Of what is too long no more than this is looked at.
        let looked_at = message.get(..message.floor_char_boundary(LONGEST)).unwrap_or_default();
        let cost = self.cost(looked_at) + (message.len() - looked_at.len()) as u64;
        self.in_call = self.in_call.saturating_add(cost);
        if self.in_call > self.per_second.saturating_mul(FLOOD) {
            let message = format!(
                "the call logged {} bytes, more than {FLOOD} times log_bytes_per_second ({})",
                self.in_call, self.per_second
            );
            return Err(HostTrap::error(FailureCode::LogFlood, message));
        }
        Ok(())
    }

    /// What printing a message takes.
    fn cost(&self, message: &str) -> u64 {
        let escapes: usize = message
            .chars()
            .map(|c| match c {
                '\n' => FURTHER_LINE,
                // In JSON.
                '"' | '\\' | '\t' => 1,
                // As many as U+10FFFF takes, and the backslash once more in JSON.
                c if c.is_control() => "\\u{10ffff}".len(),
                _ => 0,
            })
            .sum();
        (LINE + self.operator.len() + message.len() + escapes) as u64
    }

    /// Passes a message on if it fits.
    pub fn write(&mut self, level: tracing::Level, message: &str) {
        if self.rate.window.elapsed() >= Duration::from_secs(1) {
            self.rate.window = Instant::now();
            self.rate.in_window = 0;
        }
        let end = message.floor_char_boundary(LONGEST);
        let (message, cut) = message.split_at_checked(end).unwrap_or((message, ""));
        self.rate.dropped += cut.len() as u64;
        let cost = self.cost(message);
        if self.rate.in_window + cost > self.per_second {
            // An empty message is one that is dropped too.
            self.rate.dropped += message.len().max(1) as u64;
            return;
        }
        self.rate.in_window += cost;
        let message = plain_text(message);
        if let LogTo::Kept(lines) = &self.to {
            let bytes = message.len() as u64;
            if !lines.keep((level, message.into_owned())) {
                self.rate.dropped += bytes.max(1);
            }
            return;
        }
        let (operator, instance) = (&*self.operator, self.instance);
        match level {
            tracing::Level::TRACE => tracing::trace!(target: "guest", operator, instance, "{message}"),
            tracing::Level::DEBUG => tracing::debug!(target: "guest", operator, instance, "{message}"),
            tracing::Level::INFO => tracing::info!(target: "guest", operator, instance, "{message}"),
            tracing::Level::WARN => tracing::warn!(target: "guest", operator, instance, "{message}"),
            tracing::Level::ERROR => tracing::error!(target: "guest", operator, instance, "{message}"),
        }
    }
}

impl From<LevelView> for tracing::Level {
    fn from(level: LevelView) -> Self {
        match level {
            LevelView::Trace => Self::TRACE,
            LevelView::Debug => Self::DEBUG,
            LevelView::Info => Self::INFO,
            LevelView::Warn => Self::WARN,
            LevelView::Error => Self::ERROR,
        }
    }
}
