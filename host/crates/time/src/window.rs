/// A span of event time, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First microsecond of the window.
    pub start: i64,
    /// First microsecond after the window.
    pub end: i64,
}

impl Window {
    /// Whether the window has this time in it.
    #[must_use]
    pub fn contains(self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether the two windows have a microsecond in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The smallest window that covers both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}
