use super::ReadFields;
use super::places::PlaceKeeper;
use super::stamps::Stamp;
use sage_batch::{Batch, Origin, Record};

/// The destination of records, with the room that is left.
pub(super) struct Room<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) source: u16,
    pub(super) next_record: &'a mut u64,
    pub(super) places: &'a mut PlaceKeeper,
    /// Where the fields of the records go, if they are read.
    pub(super) fields: Option<&'a mut ReadFields>,
    pub(super) max_records: usize,
    pub(super) max_bytes: usize,
}

/// The reason why an input returns no more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The batch has the requested size.
    Full,
    /// There are no bytes to read at present.
    Pending,
    /// The input has ended.
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

    /// Adds the record that begins on `line`; `write` appends its payload.
    #[inline]
    pub(super) fn push<R>(&mut self, line: u64, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let origin = self.origin(line);
        self.batch.push_payload_with(origin, write)
    }

    /// Adds the record that begins on `line`, with its key, time and headers.
    pub(super) fn push_stamped(&mut self, line: u64, payload: &[u8], stamp: &Stamp) {
        let origin = self.origin(line);
        let Stamp { timestamp, .. } = *stamp;
        // The push cannot fail, because all records of one source have the same shape.
        let _ = self.batch.push(Record { payload, key: stamp.key(), timestamp, headers: stamp.headers(), origin });
    }
}
