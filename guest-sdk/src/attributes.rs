//! Key, event time and headers of a record: what belongs to it beside its payload or its fields.

use crate::record::write_sized;
use crate::types::Column;
use crate::{Error, IntoPayload};

/// Key, event time and headers of a record.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: &'a [u8],
}

/// Returns the attributes of record `row` of a batch with these columns.
#[inline(always)]
pub(crate) fn attributes<'a>(
    keys: &'a Option<Column>,
    timestamps: &'a Option<Vec<i64>>,
    headers: &'a Option<Column>,
    row: usize,
) -> Attributes<'a> {
    Attributes {
        key: keys.as_ref().and_then(|keys| keys.get(row)),
        timestamp: timestamps.as_ref().and_then(|timestamps| timestamps.get(row).copied()),
        headers: headers.as_ref().and_then(|headers| headers.get(row)).unwrap_or_default(),
    }
}

/// Appends the attributes of record `row` to columns of a batch, and returns their size in bytes. Either all records of
/// a batch have a key or none has, and the same for event time.
#[inline(always)]
pub(crate) fn append(
    attributes: Attributes<'_>,
    row: usize,
    keys: &mut Option<Column>,
    timestamps: &mut Option<Vec<i64>>,
    headers: &mut Option<Column>,
) -> usize {
    let mut size = 0;
    if let (Some(keys), Some(key)) = (keys, attributes.key) {
        keys.push(key);
        size += key.len();
    }
    if let (Some(timestamps), Some(timestamp)) = (timestamps, attributes.timestamp) {
        timestamps.push(timestamp);
    }
    if headers.is_some() || !attributes.headers.is_empty() {
        // The rows before this one have no headers: each gets an empty entry.
        let column = headers.get_or_insert_with(|| Column { offsets: vec![0; row + 1], bytes: Vec::new() });
        column.push(attributes.headers);
        size += attributes.headers.len();
    }
    size
}

/// The attributes that a record under construction sets itself. It inherits the others.
#[derive(Debug, Default)]
pub(crate) struct OwnAttributes {
    /// The buffers of key and headers stay for the next record.
    key: Vec<u8>,
    headers: Vec<u8>,
    has_key: bool,
    timestamp: Option<i64>,
    has_headers: bool,
}

impl OwnAttributes {
    /// Begins a record that inherits everything.
    pub(crate) fn begin(&mut self) {
        (self.has_key, self.timestamp, self.has_headers) = (false, None, false);
    }

    /// Sets the key.
    ///
    /// # Errors
    /// The key cannot be written.
    pub(crate) fn set_key(&mut self, key: impl IntoPayload) -> Result<(), Error> {
        self.key.clear();
        self.has_key = true;
        key.write(&mut self.key).map_err(|error| error.context("key"))
    }

    /// Sets the event time, in microseconds since the Unix epoch.
    pub(crate) fn set_timestamp(&mut self, microseconds: i64) {
        self.timestamp = Some(microseconds);
    }

    /// Adds a header. The first one drops the headers that the record would inherit.
    pub(crate) fn add_header(&mut self, name: &str, value: &[u8]) {
        if !self.has_headers {
            self.headers.clear();
            self.has_headers = true;
        }
        write_sized(name.as_bytes(), &mut self.headers);
        write_sized(value, &mut self.headers);
    }

    /// Returns these attributes, and the inherited ones that the record does not set.
    #[inline]
    pub(crate) fn over<'a>(&'a self, inherited: Attributes<'a>) -> Attributes<'a> {
        Attributes {
            key: if self.has_key { Some(&self.key) } else { inherited.key },
            timestamp: self.timestamp.or(inherited.timestamp),
            headers: if self.has_headers { &self.headers } else { inherited.headers },
        }
    }
}
