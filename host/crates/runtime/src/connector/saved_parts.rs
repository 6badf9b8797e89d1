use serde::{Deserialize, Serialize};

use super::ConnectorError;
use super::identity::FileId;

/// A part of an output whose bytes are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedPart {
    pub(super) number: u64,
    pub(super) id: FileId,
    pub(super) bytes: u64,
}

/// An output in parts at an epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedParts {
    /// The part that was being written: a later run goes on behind its bytes.
    pub(super) open: Option<SavedPart>,
    /// Parts that get their names when the epoch is whole.
    pub(super) closed: Vec<SavedPart>,
    /// All parts before the epoch have lower numbers.
    pub(super) next: u64,
}

impl SavedParts {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(saved: &[u8]) -> Result<Self, ConnectorError> {
        serde_json::from_slice(saved).map_err(|_| {
            ConnectorError::new("the output was not in parts in the run before")
                .hint("give the sink its path of that run, or start anew: --from none")
        })
    }
}
