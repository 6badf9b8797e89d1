/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number.
    Gauge,
    /// Counts of values up to bounds.
    Histogram,
    /// A constant, whose labels say something.
    Info,
}

impl Kind {
    /// The type with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Histogram, Self::Info].into_iter().find(|kind| kind.word() == word)
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// What follows the name of a family in the names of its samples.
    pub(super) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total"],
            Self::Gauge => &[""],
            Self::Histogram => &["_bucket", "_sum", "_count"],
            Self::Info => &["_info"],
        }
    }

    /// Whether a family has samples of this name.
    pub(super) fn has_sample(self, family: &str, sample: &str) -> bool {
        sample.strip_prefix(family).is_some_and(|suffix| self.suffixes().contains(&suffix))
    }
}
