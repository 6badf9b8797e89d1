use crate::attributes::Attributes;
use crate::fields::FieldBatch;
use crate::types::Batch;
use crate::{Error, FromPayload};

/// A record with its key, event time and headers. A `process` or `sink` may take a `Record`; the other kinds
/// see only payloads.
///
/// ```
/// use sage_guest::{Emitter, Error, Record};
///
/// #[sage_guest::process]
/// fn stamp(record: Record<&str>, out: &mut Emitter) -> Result<(), Error> {
///     let when = record.timestamp().ok_or("a record without event time")?;
///     out.emit(format!("{when} {}", record.payload))
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a, P = &'a [u8]> {
    /// The decoded payload, or the record by field.
    pub payload: P,
    key: Option<&'a [u8]>,
    timestamp: Option<i64>,
    headers: &'a [u8],
}

impl<'a, P> Record<'a, P> {
    /// The key, by which records are partitioned and keep state. An empty key is a key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// Decodes the key as a `K`.
    ///
    /// # Errors
    /// The record has no key, or the key does not decode.
    pub fn key_as<K: FromPayload<'a>>(&self) -> Result<K, Error> {
        let key = self.key.ok_or("the record has no key: put a `key_by` before this operator")?;
        K::from_payload(key).map_err(|error| error.context("key"))
    }

    /// Event time in microseconds since the Unix epoch, UTC.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// Iterates over names and values of the headers, in order. A name may occur more than once.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a, P> {
        let mut rest = self.headers;
        std::iter::from_fn(move || {
            let (name, after) = sized(rest)?;
            let (value, after) = sized(after)?;
            rest = after;
            Some((name, value))
        })
    }

    /// Returns the value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }
}

impl<'a, R> Record<'a, R> {
    /// Creates record `row` of a batch by field.
    #[inline(always)]
    pub(crate) fn by_field(batch: &'a FieldBatch, row: usize, record: R) -> Self {
        let Attributes { key, timestamp, headers } = batch.attributes(row);
        Self { payload: record, key, timestamp, headers }
    }
}

impl<'a> Record<'a, &'a [u8]> {
    /// Creates record `row` of a batch, with this payload.
    #[inline]
    pub(crate) fn of(batch: &'a Batch, row: usize, payload: &'a [u8]) -> Self {
        let Attributes { key, timestamp, headers } = batch.attributes(row);
        Self { payload, key, timestamp, headers }
    }

    /// Decodes the payload.
    #[inline]
    pub(crate) fn read<P: FromPayload<'a>>(self) -> Result<Record<'a, P>, Error> {
        Ok(Record {
            payload: P::from_payload(self.payload)?,
            key: self.key,
            timestamp: self.timestamp,
            headers: self.headers,
        })
    }
}

/// Splits off a byte string with its length (u32, little endian) in front.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Appends a byte string with its length in front.
pub(crate) fn write_sized(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// A type that a `process` or `sink` can take: a [`Record`], or only its payload.
#[diagnostic::on_unimplemented(
    message = "an operator cannot take `{Self}` as a record",
    label = "not a payload type, nor a `Record` of one",
    note = "take `Record<P>` or only `P`, where `P` is `&[u8]`, `&str`, `String`, `Vec<u8>`, a number, a `bool`, or \
        `Json<T>` where `T: serde::Deserialize`",
    note = "or implement `sage_guest::FromPayload` for it",
    note = "a `process` takes a struct with `#[derive(Record)]` by field if its outputs are by field too: write `out: \
        &mut Port<Out>` instead of `out: &mut Emitter`"
)]
pub trait FromRecord<'a>: Sized {
    /// Decodes a record. An error rejects the record.
    fn from_record(record: Record<'a, &'a [u8]>) -> Result<Self, Error>;
}

#[diagnostic::do_not_recommend]
impl<'a, P: FromPayload<'a>> FromRecord<'a> for P {
    #[inline]
    fn from_record(record: Record<'a, &'a [u8]>) -> Result<Self, Error> {
        P::from_payload(record.payload)
    }
}

impl<'a, P: FromPayload<'a>> FromRecord<'a> for Record<'a, P> {
    #[inline]
    fn from_record(record: Record<'a, &'a [u8]>) -> Result<Self, Error> {
        record.read()
    }
}
