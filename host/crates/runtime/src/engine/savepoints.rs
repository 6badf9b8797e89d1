use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::Serialize;

/// The name of a savepoint, which is a folder of that name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavepointName(String);

/// Why a text is not the name of a savepoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the name of a savepoint: 1 to 64 letters, digits, - and _")]
pub struct SavepointNameError(String);

/// A savepoint that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Savepoint {
    /// Its name.
    pub name: String,
    /// Its folder, for `run --from`.
    pub path: PathBuf,
    /// The epoch of the run that it is a copy of.
    pub epoch: u64,
}

/// Receives the savepoint, or the reason why there is none. It is disconnected if the run ends before.
pub type SavepointAnswer = Receiver<Result<Savepoint, String>>;

/// A savepoint that was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: SavepointName,
    /// Whether the run stops behind it.
    pub(super) stops: bool,
    /// Who asked takes the answer, or has gone.
    pub(super) answer: SyncSender<Result<Savepoint, String>>,
}

impl SavepointName {
    /// The name as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SavepointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SavepointName {
    type Err = SavepointNameError;

    fn from_str(written: &str) -> Result<Self, SavepointNameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match (1..=64).contains(&written.len()) && written.bytes().all(fits) {
            true => Ok(Self(written.to_owned())),
            false => Err(SavepointNameError(written.to_owned())),
        }
    }
}

impl Asked {
    pub(super) fn new(name: SavepointName, stops: bool) -> (Self, SavepointAnswer) {
        let (answer, receiver) = sync_channel(1);
        (Self { name, stops, answer }, receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_savepoint_leads_nowhere_else() {
        for name in ["a", "before-upgrade_2", "2026-12-01T10-00-00"] {
            assert_eq!(name.parse::<SavepointName>().unwrap().as_str(), name);
        }
        for name in ["", ".", "..", "a/b", "a.new", "a b", "ä", &"x".repeat(65)] {
            assert!(name.parse::<SavepointName>().is_err(), "{name}");
        }
    }
}
