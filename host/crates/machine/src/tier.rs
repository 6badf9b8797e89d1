use serde::Serialize;

/// Strength of an enforcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Holds regardless of the operator's behavior.
    Hard,
    /// Holds as long as all participants behave.
    Cooperative,
    /// Not enforced: no request was made, or `--allow-unenforced` or `--overcommit` permitted it.
    None,
}

impl Tier {
    /// The tier's name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Cooperative => "cooperative",
            Self::None => "none",
        }
    }

    /// The meaning of the tier, for output.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Hard => "holds whatever the operator does",
            Self::Cooperative => {
                "holds while other programs on this machine, or the host's own threads, leave it alone"
            }
            Self::None => "not enforced",
        }
    }
}
