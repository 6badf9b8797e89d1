use std::sync::atomic::{AtomicI64, Ordering};

/// How far event time is in a lane, or in the lanes of an instance that take from one inbox.
#[derive(Debug)]
pub struct EventTimeGauge(AtomicI64);

impl Default for EventTimeGauge {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl EventTimeGauge {
    /// Shows a time in microseconds since the Unix epoch. The end of the stream leaves the last time.
    pub fn show(&self, time: i64) {
        if time != i64::MAX {
            self.0.fetch_max(time, Ordering::Relaxed);
        }
    }

    /// The time; `None` without event time.
    #[must_use]
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|time| *time != i64::MIN)
    }

    /// The time that all of these have reached.
    #[must_use]
    pub fn of_all<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<i64> {
        all.into_iter().map(|one| one.0.load(Ordering::Relaxed)).min().filter(|time| *time != i64::MIN)
    }
}
