use crate::record::write_sized;
use crate::types::{Batch, Column};

/// A record to pass to an operator. Text and bytes convert to a record without key, event time and headers.
///
/// ```
/// use sage_guest::testing::Record;
///
/// let record = Record::new("17.5").key("sensor-3").timestamp(1_357_000_000_000_000).header("unit", "C");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    payload: Vec<u8>,
    key: Option<Vec<u8>>,
    timestamp: Option<i64>,
    headers: Vec<u8>,
}

impl Record {
    /// Creates a record with this payload.
    pub fn new(payload: impl AsRef<[u8]>) -> Self {
        Self { payload: payload.as_ref().to_vec(), ..Self::default() }
    }

    /// Returns the payload.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key and the event time.
    ///
    /// # Panics
    /// One of them is missing.
    #[expect(clippy::panic, reason = "a test of windows whose records have no window is to fail")]
    pub(super) fn key_and_time(&self) -> (Vec<u8>, i64) {
        match (&self.key, self.timestamp) {
            (Some(key), Some(time)) => (key.clone(), time),
            _ => panic!("a record of a window needs a key and an event time"),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// Sets the event time, in microseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(mut self, microseconds: i64) -> Self {
        self.timestamp = Some(microseconds);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        write_sized(name.as_bytes(), &mut self.headers);
        write_sized(value.as_ref(), &mut self.headers);
        self
    }
}

impl<T: AsRef<[u8]>> From<T> for Record {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}

/// Returns the columns of these records.
///
/// # Panics
/// Some records have a key and others have none, or some have an event time and others have none. No host puts
/// such records in one batch.
pub(super) fn batch(records: &[Record]) -> Batch {
    let keys: Vec<&[u8]> = records.iter().filter_map(|record| record.key.as_deref()).collect();
    let timestamps: Vec<i64> = records.iter().filter_map(|record| record.timestamp).collect();
    assert!(
        keys.is_empty() || keys.len() == records.len(),
        "a batch has keys for all of its records or for none: put the others into a separate batch"
    );
    assert!(
        timestamps.is_empty() || timestamps.len() == records.len(),
        "a batch has event times for all of its records or for none: put the others into a separate batch"
    );
    Batch {
        payloads: Column::of(records.iter().map(|record| &record.payload)),
        keys: (!keys.is_empty()).then(|| Column::of(keys)),
        timestamps: (!timestamps.is_empty()).then_some(timestamps),
        headers: records
            .iter()
            .any(|record| !record.headers.is_empty())
            .then(|| Column::of(records.iter().map(|record| &record.headers))),
    }
}
