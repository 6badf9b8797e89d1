use serde::{Deserialize, Serialize};

use super::ConnectorError;
use super::identity::FileId;

/// An output file at an epoch: a later run goes on behind its first `bytes` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedOutput {
    pub(super) id: FileId,
    pub(super) bytes: u64,
    /// The records in them.
    pub(super) records: u64,
}

impl SavedOutput {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).unwrap_or_default()
    }

    /// Reads what [`SavedOutput::to_bytes`] wrote. `None` if nothing was saved, as for a pipe.
    pub(super) fn from_bytes(saved: &[u8]) -> Result<Option<Self>, ConnectorError> {
        if saved.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(saved).map(Some).map_err(|_| ConnectorError::new("the saved position cannot be read"))
    }
}
