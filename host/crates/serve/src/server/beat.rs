use std::fmt;
use std::time::{Duration, Instant};

/// Numbers of the server, for whoever watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// Jobs whose processes live.
    pub running: usize,
    /// Jobs that wait for their check, their turn or room.
    pub waiting: usize,
    /// Why the server takes no new work.
    pub read_only: Option<String>,
}

/// What the server's thread does from time to time, to show that it works.
pub(super) struct Beat {
    every: Duration,
    last: Option<Instant>,
    act: Box<dyn FnMut(&Pulse) + Send>,
}

impl Beat {
    pub(super) fn new(every: Duration, act: impl FnMut(&Pulse) + Send + 'static) -> Self {
        Self { every, last: None, act: Box::new(act) }
    }

    /// Time until the next one.
    pub(super) fn due_in(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| self.every.saturating_sub(last.elapsed()))
    }

    pub(super) fn act(&mut self, pulse: &Pulse) {
        self.last = Some(Instant::now());
        (self.act)(pulse);
    }
}

impl fmt::Debug for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beat").field("every", &self.every).finish_non_exhaustive()
    }
}
