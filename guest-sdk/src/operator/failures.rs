use crate::types::Column;
use crate::{Error, host};

/// The records of a call that the operator rejected, told to the host in one go.
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

    #[inline]
    pub(crate) fn tell(&mut self) {
        if !self.rows.is_empty() {
            host::failures(&self.rows, &self.messages);
            self.rows.clear();
            self.messages.clear();
        }
    }
}
