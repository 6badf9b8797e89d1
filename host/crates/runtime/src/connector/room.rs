use super::places::PlaceKeeper;
use super::stamps::Stamp;
use sage_batch::{Batch, Origin, Record};

/// Where records go, and how many fit.
pub(super) struct Room<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) source: u16,
    pub(super) next_record: &'a mut u64,
    pub(super) places: &'a mut PlaceKeeper,
    pub(super) max_records: usize,
    pub(super) max_bytes: usize,
}

/// Why an input stopped giving records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The batch has what was asked for.
    Full,
    /// There is nothing to read at present.
    Pending,
    /// It is done.
    End,
}

impl Room<'_> {
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= self.max_records || self.batch.payloads().byte_len() >= self.max_bytes
    }

    #[inline]
    fn origin(&mut self, line: u64) -> Origin {
        let record = *self.next_record;
        self.places.note(record, line);
        *self.next_record = record + 1;
        Origin::new(self.source, record)
    }

    /// Adds the record that begins on `line`, which `write` appends.
    #[inline]
    pub(super) fn push<R>(&mut self, line: u64, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let origin = self.origin(line);
        self.batch.push_payload_with(origin, write)
    }

    /// Adds the record that begins on `line`, with what else it has.
    pub(super) fn push_stamped(&mut self, line: u64, payload: &[u8], stamp: &Stamp) {
        let origin = self.origin(line);
        let Stamp { timestamp, .. } = *stamp;
        // The records of one source have one shape.
        let _ = self.batch.push(Record { payload, key: stamp.key(), timestamp, headers: stamp.headers(), origin });
    }
}
