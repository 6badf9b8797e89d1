use std::sync::Arc;
use std::time::{Duration, Instant};

use super::contract::LevelView;
use super::failure::{FailureCode, HostTrap};
use super::plain_text::plain_text;

/// What a guest says, on its way to the host's log, held to `limits.log_bytes_per_second`.
///
/// Over the limit messages are dropped and counted; a single call that goes over it 16 times is a flood, and fails.
#[derive(Debug)]
pub(super) struct GuestLog {
    operator: Arc<str>,
    instance: u32,
    per_second: u64,
    window: Instant,
    in_window: u64,
    in_call: u64,
    dropped: u64,
}

/// How many seconds' worth of log one call may try to write.
const FLOOD: u64 = 16;
/// The longest message; the rest is cut off (and counted as dropped).
const LONGEST: usize = 8 << 10;

impl GuestLog {
    pub(super) fn new(operator: Arc<str>, instance: u32, per_second: u64) -> Self {
        Self { operator, instance, per_second, window: Instant::now(), in_window: 0, in_call: 0, dropped: 0 }
    }

    pub(super) fn begin_call(&mut self) {
        self.in_call = 0;
    }

    /// Bytes dropped since this was last asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
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
    pub(super) fn write(&mut self, level: LevelView, message: &str) {
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
        let (operator, instance) = (&*self.operator, self.instance);
        match level {
            LevelView::Trace => tracing::trace!(target: "guest", operator, instance, "{message}"),
            LevelView::Debug => tracing::debug!(target: "guest", operator, instance, "{message}"),
            LevelView::Info => tracing::info!(target: "guest", operator, instance, "{message}"),
            LevelView::Warn => tracing::warn!(target: "guest", operator, instance, "{message}"),
            LevelView::Error => tracing::error!(target: "guest", operator, instance, "{message}"),
        }
    }
}
