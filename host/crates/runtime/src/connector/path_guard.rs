use std::collections::HashMap;

use super::ConnectorError;
use super::identity::FileId;

/// The files that a run reads, kept as long as the run lasts. Every output asks the guard before it opens a
/// file for writing, and before its file takes another one's name, because a path may lead elsewhere since the
/// paths were compared.
#[derive(Debug, Default)]
pub struct PathGuard {
    read: HashMap<FileId, usize>,
    /// Clauses such as `source "in" reads it`.
    readers: Vec<String>,
}

impl PathGuard {
    /// Adds a reader and its files.
    pub(super) fn add(&mut self, reader: String, files: impl IntoIterator<Item = FileId>) {
        let number = self.readers.len();
        self.readers.push(reader);
        for file in files {
            self.read.entry(file).or_insert(number);
        }
    }

    /// Refuses to write to a file that the run reads.
    pub(super) fn require_not_read(&self, id: FileId, shown: &str) -> Result<(), ConnectorError> {
        let Some(reader) = self.read.get(&id).and_then(|&number| self.readers.get(number)) else { return Ok(()) };
        Err(ConnectorError::new(format!("\"{shown}\" would replace or change a file of this run by now: {reader}"))
            .hint("give the output another path"))
    }
}
