/// An output of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// The main output: `input = "parse"`.
    Main,
    /// The records that the stage rejected, unchanged: `input = "parse.rejects"`.
    Rejects,
    /// A side output that the component declares, by its number (from 1) and name: `input = "sessions.late"`.
    Side(u32, String),
}

impl Port {
    /// The name behind the dot in an `input`. `None` for the main output.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Main => None,
            Self::Rejects => Some("rejects"),
            Self::Side(_, name) => Some(name),
        }
    }
}
