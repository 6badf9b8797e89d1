use std::sync::{Arc, Mutex, PoisonError};

use super::{ConnectorError, Filled, Sink, SinkOutcome, Source, SourceProgress};
use sage_batch::{Batch, Origin};

/// A source of records from a Rust iterator.
///
/// The iterator is pulled on the source's thread. The iterator may block, but a drain is not noticed until it
/// returns.
#[derive(Debug)]
pub struct IterSource<I> {
    records: I,
    number: u16,
    done: u64,
    total: Option<u64>,
    bounded: bool,
}

impl<I: Iterator<Item = Vec<u8>> + Send> IterSource<I> {
    /// Makes a source of these payloads, with position `number` among the pipeline's sources.
    pub fn new(records: impl IntoIterator<IntoIter = I>, number: u16) -> Self {
        let records = records.into_iter();
        let (least, most) = records.size_hint();
        let total = most.filter(|&most| most == least).map(|most| most as u64);
        // An iterator that reports more items than memory could hold, such as `std::iter::repeat`, never ends.
        let bounded = least != usize::MAX;
        Self { records, number, done: 0, total, bounded }
    }
}

impl<I: Iterator<Item = Vec<u8>> + Send> Source for IterSource<I> {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        while batch.len() < max_records && batch.payloads().byte_len() < max_bytes {
            let Some(payload) = self.records.next() else { return Ok(Filled::End) };
            batch.push_payload_with(Origin::new(self.number, self.done), |out| out.extend_from_slice(&payload));
            self.done += 1;
        }
        Ok(Filled::More)
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress { done: self.done, total: self.total, bytes: false, bounded: self.bounded }
    }
}

/// A record as [`CollectSink`] keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collected {
    /// Key of the record, if it has one.
    pub key: Option<Vec<u8>>,
    /// Payload of the record.
    pub payload: Vec<u8>,
}

/// A sink that hands the records to the embedding program. A record is in the shared list as soon as it
/// arrives.
///
/// The list is not bounded: for tests and small results.
#[derive(Debug, Default)]
pub struct CollectSink {
    records: Arc<Mutex<Vec<Collected>>>,
}

impl CollectSink {
    /// Makes a sink, and the list that its records go to.
    #[must_use]
    pub fn new() -> (Self, Arc<Mutex<Vec<Collected>>>) {
        let sink = Self::default();
        let records = Arc::clone(&sink.records);
        (sink, records)
    }
}

impl Sink for CollectSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        let records = (0..batch.len())
            .filter_map(|row| batch.record(row))
            .map(|record| Collected { key: record.key.map(<[u8]>::to_vec), payload: record.payload.to_vec() });
        self.records.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sage_batch::Record;

    #[test]
    fn what_an_iterator_makes_is_read_in_order_and_counted() {
        let mut source = IterSource::new((0..5u8).map(|n| vec![n]), 4);
        let mut batch = Batch::new();
        assert_eq!(source.fill(&mut batch, 3, 1000).unwrap(), Filled::More);
        assert_eq!(batch.origins(), [Origin::new(4, 0), Origin::new(4, 1), Origin::new(4, 2)]);
        assert_eq!(source.progress(), SourceProgress { done: 3, total: Some(5), bytes: false, bounded: true });
        assert_eq!(source.fill(&mut batch, 100, 1000).unwrap(), Filled::End);
        assert_eq!(batch.payloads().bytes(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_iterator_that_never_ends_is_not_bounded_and_fills_to_the_bytes_asked_for() {
        let mut source = IterSource::new(std::iter::repeat(vec![0; 10]), 0);
        let mut batch = Batch::new();
        assert_eq!(source.fill(&mut batch, 100, 35).unwrap(), Filled::More);
        assert_eq!(batch.len(), 4);
        assert_eq!(source.progress(), SourceProgress { done: 4, total: None, bytes: false, bounded: false });
    }

    #[test]
    fn collected_records_keep_their_keys() {
        let (mut sink, records) = CollectSink::new();
        let mut batch = Batch::new();
        assert!(batch.push(Record { key: Some(b"k"), ..Record::of(b"v", Origin::NONE) }));
        sink.write(&batch).unwrap();
        sink.finish(SinkOutcome::Complete).unwrap();
        assert_eq!(*records.lock().unwrap(), [Collected { key: Some(b"k".to_vec()), payload: b"v".to_vec() }]);
    }
}
