use crate::types::Column;
use crate::{Error, host};

/// The records of a call that the operator rejected, sent to the host in one call.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    rows: Vec<u32>,
    messages: Column,
}

impl Failures {
    #[cold]
    pub(crate) fn reject(&mut self, row: usize, error: &Error) {
        self.rows.push(row as u32);
        self.messages.push(error.message().as_bytes());
    }

    /// The rejected records, in the order in which they were rejected.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Returns whether this record is rejected.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.rows.contains(&(row as u32))
    }

    #[inline]
    pub(crate) fn tell(&mut self) {
        if !self.rows.is_empty() {
            self.sort();
            host::failures(&self.rows, &self.messages);
            self.rows.clear();
            self.messages.clear();
        }
    }

    /// Sorts the rows, because the contract requires increasing rows. A batch processed as a whole rejects its
    /// unreadable records first.
    fn sort(&mut self) {
        if self.rows.is_sorted() {
            return;
        }
        let mut told: Vec<(u32, &[u8])> = self.rows.iter().copied().zip(self.messages.iter()).collect();
        told.sort_by_key(|(row, _)| *row);
        let messages = Column::of(told.iter().map(|(_, message)| message));
        self.rows.sort_unstable();
        self.messages = messages;
    }
}
