use std::time::Duration;

/// The windows of an operator under test, as a pipeline file says them.
///
/// ```
/// use std::time::Duration;
/// use sage_guest::testing::Windows;
///
/// // window = { sliding = "10m", every = "1m" }, late = { allowed = "10s" }
/// Windows::sliding(Duration::from_secs(600), Duration::from_secs(60)).allowed(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    size: i64,
    /// The distance of starts. `None` for sessions.
    every: Option<i64>,
    offset: i64,
    allowed: i64,
}

impl Windows {
    /// Windows of this length, one after the other.
    #[must_use]
    pub fn tumbling(size: Duration) -> Self {
        Self::sliding(size, size)
    }

    /// Windows of this length, one of which starts each `every`.
    ///
    /// # Panics
    /// A length is less than a microsecond, or `every` is longer than `size`.
    #[must_use]
    pub fn sliding(size: Duration, every: Duration) -> Self {
        assert!(every <= size, "a record between two windows would belong to none");
        Self { size: positive(size), every: Some(positive(every)), offset: 0, allowed: 0 }
    }

    /// A window of each spell of activity, which ends when no record came for `gap`.
    ///
    /// # Panics
    /// The gap is less than a microsecond.
    #[must_use]
    pub fn session(gap: Duration) -> Self {
        Self { size: positive(gap), every: None, offset: 0, allowed: 0 }
    }

    /// Shifts the windows from the Unix epoch, by microseconds.
    #[must_use]
    pub fn offset(self, microseconds: i64) -> Self {
        Self { offset: microseconds, ..self }
    }

    /// For how long after its end a window takes late records.
    #[must_use]
    pub fn allowed(self, allowed: Duration) -> Self {
        Self { allowed: micros(allowed), ..self }
    }

    /// Whether the windows are sessions.
    pub(super) fn merge(self) -> bool {
        self.every.is_none()
    }

    /// Start and end of each window of a record, by rising start; for sessions, the window that it has alone.
    pub(super) fn of(self, time: i64) -> Vec<(i64, i64)> {
        let Some(every) = self.every else { return vec![(time, time + self.size)] };
        let last = time - (time - self.offset).rem_euclid(every);
        let starts = (0..).map(|back| last - back * every).take_while(|start| start + self.size > time);
        let mut windows: Vec<(i64, i64)> = starts.map(|start| (start, start + self.size)).collect();
        windows.reverse();
        windows
    }

    /// Whether a window with this end takes no more records.
    pub(super) fn is_late(self, end: i64, watermark: i64) -> bool {
        end.saturating_add(self.allowed) <= watermark
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn positive(time: Duration) -> i64 {
    let micros = micros(time);
    assert!(micros > 0, "a window has at least a microsecond");
    micros
}
