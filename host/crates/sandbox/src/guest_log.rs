use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::contract::LevelView;
use super::failure::{FailureCode, HostTrap};
use sage_text::plain_text;

/// Passes a guest's messages to the host's log, at a rate of at most `limits.log_bytes_per_second`.
///
/// A message counts with the bytes that it takes in print: the text before and after it in its line, the marks
/// of further lines, and escapes. Messages over the limit are dropped and counted. A call that logs more than
/// 16 times the limit is a flood, and fails.
#[derive(Debug)]
pub struct GuestLog {
    to: LogTo,
    operator: Arc<str>,
    instance: u32,
    per_second: u64,
    in_call: u64,
    rate: LogRate,
}

/// The recent log volume of a lane's guests. The value passes from a guest to the one that replaces it, so a
/// guest cannot log more by failing.
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

/// The destination of a guest's log lines.
#[derive(Debug, Clone, Default)]
pub enum LogTo {
    /// Into this process's log.
    #[default]
    Here,
    /// A buffer that another thread empties, for the log of another process.
    Kept(Arc<KeptLines>),
}

/// A line with its level.
pub type LogLine = (tracing::Level, String);

/// Log lines that wait to be taken. The guests' log rates bound them, and so do [`KeptLines::MOST`] and
/// [`KeptLines::MOST_BYTES`].
#[derive(Debug, Default)]
pub struct KeptLines(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<LogLine>,
    bytes: usize,
}

impl KeptLines {
    /// Most lines that wait. If the buffer is full, new lines are refused and the oldest stay.
    pub const MOST: usize = 1024;
    /// Most bytes of text in the waiting lines: a minute at the usual rate.
    pub const MOST_BYTES: usize = 4 << 20;

    /// Takes the lines that were logged since the last call of this method.
    #[must_use]
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).lines
    }

    /// Stores a line; `false` if there is no room.
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

/// Number of seconds of the allowed rate that one call may try to write.
const FLOOD: u64 = 16;
/// Longest message in bytes. The rest is cut off and counted as dropped.
const LONGEST: usize = 8 << 10;
/// Bytes of a line besides the message and the operator's name: 68 of text, or 110 of JSON.
const LINE: usize = 110;
/// Bytes before each further line of a message, besides its line end.
const FURTHER_LINE: usize = 4;

impl GuestLog {
    /// The log of one guest.
    #[must_use]
    pub fn new(to: LogTo, operator: Arc<str>, instance: u32, per_second: u64) -> Self {
        Self { to, operator, instance, per_second, in_call: 0, rate: LogRate::default() }
    }

    /// Continues the rate of another guest of the lane.
    pub(super) fn after(mut self, rate: LogRate) -> Self {
        self.rate = rate;
        self
    }

    /// The rate, for the next guest of the lane.
    pub(super) fn into_rate(self) -> LogRate {
        self.rate
    }

    pub(super) fn begin_call(&mut self) {
        self.in_call = 0;
    }

    /// Returns the bytes dropped since the last call of this method.
    #[must_use]
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.rate.dropped)
    }

    /// Counts a message that the guest tries to write, whether or not it is printed.
    pub(super) fn count(&mut self, message: &str) -> wasmtime::Result<()> {
        // Only this part of a long message is examined.
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

    /// Bytes that a message takes in print.
    fn cost(&self, message: &str) -> u64 {
        let escapes: usize = message
            .chars()
            .map(|c| match c {
                '\n' => FURTHER_LINE,
                // Escaped in JSON.
                '"' | '\\' | '\t' => 1,
                // The longest escape, that of U+10FFFF, with its backslash doubled in JSON.
                c if c.is_control() => "\\u{10ffff}".len(),
                _ => 0,
            })
            .sum();
        (LINE + self.operator.len() + message.len() + escapes) as u64
    }

    /// Prints or stores a message if the rate allows it.
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
            // A dropped empty message counts too.
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
