/// How far the event time of a stream is: records that come later are not meant to be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Microseconds since the Unix epoch. A record of exactly this time is not late.
    pub time: i64,
    /// Whether the stream has had no record for a while, so that streams beside it need not wait for it.
    pub idle: bool,
}

impl Watermark {
    /// Of a stream without event times, or before the first record.
    pub const NONE: Self = Self { time: i64::MIN, idle: false };
    /// Of a stream that has ended.
    pub const END: Self = Self { time: i64::MAX, idle: false };

    /// The watermark of a stream that has had records of late.
    #[must_use]
    pub fn at(time: i64) -> Self {
        Self { time, idle: false }
    }

    /// The same time, of a stream that is not idle.
    #[must_use]
    pub fn active(self) -> Self {
        Self { idle: false, ..self }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl Default for Watermark {
    fn default() -> Self {
        Self::NONE
    }
}
