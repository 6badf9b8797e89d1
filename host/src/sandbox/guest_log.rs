use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::contract::LevelView;
use super::failure::{FailureCode, HostTrap};
use crate::observe::plain_text;

/// What a guest says, on its way to the host's log, held to `limits.log_bytes_per_second`.
///
/// Over the limit messages are dropped and counted; a single call that goes over it 16 times is a flood, and fails.
#[derive(Debug)]
pub struct GuestLog {
    to: LogTo,
    operator: Arc<str>,
    instance: u32,
    per_second: u64,
    window: Instant,
    in_window: u64,
    in_call: u64,
    dropped: u64,
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

/// Log lines that wait to be taken: as many as the guests' rates let through, and [`KeptLines::MOST`].
#[derive(Debug, Default)]
pub struct KeptLines(Mutex<Vec<LogLine>>);

impl KeptLines {
    /// The most lines that wait; the oldest stay.
    pub const MOST: usize = 1024;

    /// What was logged since this was last asked.
    #[must_use]
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a line; `false` if there is no room.
    pub fn keep(&self, line: LogLine) -> bool {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = lines.len() < Self::MOST;
        if fits {
            lines.push(line);
        }
        fits
    }
}

/// How many seconds' worth of log one call may try to write.
const FLOOD: u64 = 16;
/// The longest message; the rest is cut off (and counted as dropped).
const LONGEST: usize = 8 << 10;

impl GuestLog {
    /// The log of one guest.
    #[must_use]
    pub fn new(to: LogTo, operator: Arc<str>, instance: u32, per_second: u64) -> Self {
        Self { to, operator, instance, per_second, window: Instant::now(), in_window: 0, in_call: 0, dropped: 0 }
    }

    pub(super) fn begin_call(&mut self) {
        self.in_call = 0;
    }

    /// Bytes dropped since this was last asked.
    #[must_use]
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Counts bytes that the guest tries to write, wherever they go.
    pub(super) fn count(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.in_call = self.in_call.saturating_add(bytes as u64);
        if self.in_call > self.per_second.saturating_mul(FLOOD) {
            let message = format!(
                "the call logged {} bytes, more than {FLOOD} times log_bytes_per_second ({})",
                self.in_call, self.per_second
            );
            return Err(HostTrap::error(FailureCode::LogFlood, message));
        }
        Ok(())
    }

    /// Passes a message on if it fits.
    pub fn write(&mut self, level: tracing::Level, message: &str) {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.in_window = 0;
        }
        let end = message.floor_char_boundary(LONGEST);
        let (message, cut) = message.split_at_checked(end).unwrap_or((message, ""));
        self.dropped += cut.len() as u64;
        if self.in_window + message.len() as u64 > self.per_second {
            self.dropped += message.len() as u64;
            return;
        }
        self.in_window += message.len() as u64;
        let message = plain_text(message);
        if let LogTo::Kept(lines) = &self.to {
            let bytes = message.len() as u64;
            if !lines.keep((level, message.into_owned())) {
                self.dropped += bytes;
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
