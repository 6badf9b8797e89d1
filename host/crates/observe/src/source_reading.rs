/// The progress of a source, for the progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReading {
    /// The source's name.
    pub name: String,
    /// Amount that the source has read, in its own unit.
    pub done: u64,
    /// Total amount, if the source has an end and its amount is known.
    pub total: Option<u64>,
    /// Whether the unit is bytes (otherwise records).
    pub bytes: bool,
    /// Whether the source ends by itself.
    pub bounded: bool,
}
