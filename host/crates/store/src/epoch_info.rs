/// A whole epoch that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochInfo {
    /// The number of the epoch. Numbers begin with 1, rise, and are never used twice in a folder.
    pub number: u64,
    /// The time when it was written, in milliseconds since 1970 by the clock of the machine.
    pub wall_ms: u64,
    /// Whether the run came to its end with this epoch.
    pub ended: bool,
    /// What the engine wrote about the epoch. The store does not read it.
    pub manifest: Vec<u8>,
}
