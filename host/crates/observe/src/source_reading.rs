/// How far a source is, for the progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReading {
    /// The source's name.
    pub name: String,
    /// What it has read, in its own unit.
    pub done: u64,
    /// How much there is, if it ends and that is known.
    pub total: Option<u64>,
    /// Whether the unit is bytes (records otherwise).
    pub bytes: bool,
    /// Whether it ends by itself.
    pub bounded: bool,
}
