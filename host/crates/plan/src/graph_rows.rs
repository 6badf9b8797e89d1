use serde::{Deserialize, Serialize};

/// What a model's file shows of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphRows {
    /// Every operator of its graph goes row by row: what it gives for a row depends on no other.
    ByOperators,
    /// It is made up, and gives rows back as they went.
    MadeUp,
    /// They may depend on each other: the operator or dimension for which that is so.
    NotShown(String),
}

/// Nobody has looked.
impl Default for GraphRows {
    fn default() -> Self {
        Self::NotShown("nobody looked at its graph".to_owned())
    }
}
