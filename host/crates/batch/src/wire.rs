//! Batches as bytes in order, for rings between processes. Numbers have 8 bytes, little-endian. A column is its
//! number of offsets, its offsets, its number of bytes and its bytes. Every part is padded to a multiple of 8
//! bytes. Each part therefore begins at a multiple of 8 and can be read in place.
//!
//! A reader trusts nothing: it compares a length with a limit before it allocates room, and it checks a column
//! after it has copied the column to memory that the writer cannot reach. Only [`view`] reads in place, for
//! memory that its writer no longer changes.

use thiserror::Error;

use super::{Batch, Column, Malformed, RawColumns, check_offsets};

/// Writes a message's bytes in order.
pub trait WireWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// The other side is gone, or takes too long to make room.
    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError>;

    /// Appends a number.
    ///
    /// # Errors
    /// As [`WireWriter::put`].
    fn put_number(&mut self, number: u64) -> Result<(), WireError> {
        self.put(&number.to_le_bytes())
    }
}

/// Reads a message's bytes in order.
pub trait WireReader {
    /// Fills `into`.
    ///
    /// # Errors
    /// The other side is gone, takes too long, or broke the rules of the ring.
    fn get(&mut self, into: &mut [u8]) -> Result<(), WireError>;

    /// Appends the next `bytes` bytes to `into`.
    ///
    /// # Errors
    /// As [`WireReader::get`].
    fn append(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError>;

    /// Reads the next number.
    ///
    /// # Errors
    /// As [`WireReader::get`].
    fn get_number(&mut self) -> Result<u64, WireError> {
        let mut bytes = [0; 8];
        self.get(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// A message in memory.
impl WireWriter for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// A message in memory, of which the slice is the rest.
impl WireReader for &[u8] {
    fn get(&mut self, into: &mut [u8]) -> Result<(), WireError> {
        let (now, rest) = self.split_at_checked(into.len()).ok_or(WireError::Gone)?;
        into.copy_from_slice(now);
        *self = rest;
        Ok(())
    }

    fn append(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
        let (now, rest) = self.split_at_checked(bytes).ok_or(WireError::Gone)?;
        into.extend_from_slice(now);
        *self = rest;
        Ok(())
    }
}

/// The reason why a message could not be sent or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// The other side has ended.
    #[error("the other side is gone")]
    Gone,
    /// The other side did not answer in time.
    #[error("nothing came for {0} ms")]
    Overdue(u64),
    /// The other side sent something now and then, but took too long for the whole message.
    #[error("a message took longer than {0} ms")]
    Slow(u64),
    /// The other side sent an invalid message.
    #[error("{0}")]
    Broken(String),
}

impl WireError {
    /// The error of an invalid message, with a description of the problem.
    #[must_use]
    pub fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }
}

impl From<Malformed> for WireError {
    fn from(broken: Malformed) -> Self {
        Self::Broken(broken.to_string())
    }
}

/// Appends a number.
///
/// # Errors
/// As [`WireWriter::put`].
pub fn put_u64(to: &mut impl WireWriter, number: u64) -> Result<(), WireError> {
    to.put_number(number)
}

/// Appends the number of bytes, then the bytes.
///
/// # Errors
/// As [`WireWriter::put`].
pub fn put_bytes(to: &mut impl WireWriter, bytes: &[u8]) -> Result<(), WireError> {
    put_u64(to, bytes.len() as u64)?;
    to.put(bytes)?;
    fill_up(to, bytes.len())
}

/// Appends the count of numbers, then the numbers.
///
/// # Errors
/// As [`WireWriter::put`].
pub fn put_u32s(to: &mut impl WireWriter, numbers: &[u32]) -> Result<(), WireError> {
    put_u64(to, numbers.len() as u64)?;
    let bytes: &[u8] = bytemuck::cast_slice(numbers);
    to.put(bytes)?;
    fill_up(to, bytes.len())
}

fn fill_up(to: &mut impl WireWriter, len: usize) -> Result<(), WireError> {
    match filling(len) {
        0 => Ok(()),
        short => to.put([0; 8].get(..short).unwrap_or_default()),
    }
}

/// Number of padding bytes up to a multiple of 8.
fn filling(len: usize) -> usize {
    len.wrapping_neg() & 7
}

/// Appends a column.
///
/// # Errors
/// As [`WireWriter::put`].
pub fn put_column(to: &mut impl WireWriter, column: &Column) -> Result<(), WireError> {
    put_u32s(to, column.offsets())?;
    put_bytes(to, column.bytes())
}

/// Number of bytes that a column takes on the wire.
fn column_len(column: &Column) -> usize {
    let padded = |len: usize| 8 + len + filling(len);
    padded(4 * column.offsets().len()) + padded(column.byte_len())
}

/// Reads a number.
///
/// # Errors
/// As [`WireReader::get`].
pub fn get_u64(from: &mut impl WireReader) -> Result<u64, WireError> {
    from.get_number()
}

/// Reads a number that must fit into a smaller type.
///
/// # Errors
/// As [`WireReader::get`]; the number does not fit.
pub fn get_small<T: TryFrom<u64>>(from: &mut impl WireReader) -> Result<T, WireError> {
    let number = get_u64(from)?;
    T::try_from(number).map_err(|_| WireError::broken(format!("the number {number} is too large")))
}

/// Reads a length of at most `limit`.
fn get_length(from: &mut impl WireReader, limit: u64) -> Result<usize, WireError> {
    let length = get_u64(from)?;
    if length > limit {
        return Err(WireError::broken(format!("a length of {length}, at most {limit} was expected")));
    }
    usize::try_from(length).map_err(|_| WireError::broken("a length that this machine cannot address"))
}

fn skip_filling(from: &mut impl WireReader, len: usize) -> Result<(), WireError> {
    from.get([0; 8].get_mut(..filling(len)).unwrap_or_default())
}

/// Reads at most `limit` bytes into `into` and replaces its old content.
///
/// # Errors
/// As [`WireReader::get`]; there are more than `limit` bytes.
pub fn get_bytes(from: &mut impl WireReader, limit: u64, into: &mut Vec<u8>) -> Result<(), WireError> {
    let length = get_length(from, limit)?;
    into.clear();
    from.append(length, into)?;
    skip_filling(from, length)
}

/// Reads numbers of at most `limit` bytes in total into `into` and replaces its old content.
///
/// # Errors
/// As [`WireReader::get`]; there are more than `limit` bytes.
pub fn get_u32s(from: &mut impl WireReader, limit: u64, into: &mut Vec<u32>) -> Result<(), WireError> {
    let length = get_length(from, limit / 4)?;
    into.clear();
    into.resize(length, 0);
    from.get(bytemuck::cast_slice_mut(into))?;
    skip_filling(from, 4 * length)
}

/// Reads text of at most `limit` bytes.
///
/// # Errors
/// As [`WireReader::get`]; there are more than `limit` bytes, or the bytes are not UTF-8.
pub fn get_text(from: &mut impl WireReader, limit: u64) -> Result<String, WireError> {
    let mut bytes = Vec::new();
    get_bytes(from, limit, &mut bytes)?;
    String::from_utf8(bytes).map_err(|_| WireError::broken("text that is not UTF-8"))
}

/// Reads a column of at most `limit` bytes of offsets and `limit` bytes of content into `into`. Returns the
/// number of entries. On error `into` is left empty.
///
/// # Errors
/// As [`WireReader::get`]; the rule that the column breaks.
pub fn get_column(
    from: &mut impl WireReader,
    name: &'static str,
    limit: u64,
    into: &mut Column,
) -> Result<usize, WireError> {
    into.refill(name, |offsets, bytes| {
        get_u32s(from, limit, offsets)?;
        get_bytes(from, limit, bytes)
    })
}

const KEYS: u64 = 1;
const TIMESTAMPS: u64 = 2;
const HEADERS: u64 = 4;

/// The first column in `wire`, read in place. Nothing may write to that memory meanwhile.
fn view_column<'a>(wire: &mut &'a [u8], name: &'static str) -> Result<(&'a [u32], &'a [u8]), WireError> {
    let offsets = view_u32s(wire)?;
    let bytes = take(wire, None)?;
    check_offsets(name, offsets, bytes.len())?;
    Ok((offsets, bytes))
}

fn view_u32s<'a>(wire: &mut &'a [u8]) -> Result<&'a [u32], WireError> {
    let numbers = take(wire, Some(4))?;
    bytemuck::try_cast_slice(numbers).map_err(|_| WireError::broken("numbers that are not aligned"))
}

/// Takes a number, then as many entries of `size` bytes (or single bytes, if `None`), and their padding.
fn take<'a>(wire: &mut &'a [u8], size: Option<usize>) -> Result<&'a [u8], WireError> {
    let entries = usize::try_from(take_u64(wire)?).map_err(|_| WireError::Gone)?;
    let len = entries.checked_mul(size.unwrap_or(1)).ok_or(WireError::Gone)?;
    let (taken, rest) = wire.split_at_checked(len).ok_or(WireError::Gone)?;
    *wire = rest.get(filling(len)..).ok_or(WireError::Gone)?;
    Ok(taken)
}

fn take_u64(wire: &mut &[u8]) -> Result<u64, WireError> {
    let (number, rest) = wire.split_first_chunk::<8>().ok_or(WireError::Gone)?;
    *wire = rest;
    Ok(u64::from_le_bytes(*number))
}

/// The records that [`Batch::write`] wrote, read in place and checked. `wire` must begin at a multiple of 8.
///
/// # Errors
/// A column breaks a rule, or the lengths do not fit.
pub fn view(mut wire: &[u8]) -> Result<RawColumns<'_>, WireError> {
    let wire = &mut wire;
    let shape = take_u64(wire)?;
    let payloads = view_column(wire, "payloads")?;
    let rows = payloads.0.len() - 1;
    let counted = |name, column: (&[u32], &[u8])| match column.0.len() - 1 {
        found if found == rows => Ok(()),
        found => Err(WireError::from(Malformed::Count { column: name, found, expected: rows })),
    };
    let mut columns = RawColumns { payloads, ..RawColumns::default() };
    if shape & KEYS != 0 {
        let keys = view_column(wire, "keys")?;
        counted("keys", keys)?;
        columns.keys = Some(keys);
    }
    if shape & TIMESTAMPS != 0 {
        let (times, rest) = wire.split_at_checked(8 * rows).ok_or(WireError::Gone)?;
        *wire = rest;
        let times = bytemuck::try_cast_slice(times).map_err(|_| WireError::broken("numbers that are not aligned"))?;
        columns.timestamps = Some(times);
    }
    if shape & HEADERS != 0 {
        let headers = view_column(wire, "headers")?;
        counted("headers", headers)?;
        columns.headers = Some(headers);
    }
    Ok(columns)
}

impl Batch {
    /// Appends the records, without their origins: the whole records if `whole` is true, otherwise only their
    /// payloads.
    ///
    /// # Errors
    /// As [`WireWriter::put`].
    pub fn write(&self, to: &mut impl WireWriter, whole: bool) -> Result<(), WireError> {
        let shape = if whole { self.beside() } else { 0 };
        put_u64(to, shape)?;
        put_column(to, self.payloads())?;
        self.write_beside(shape, to)
    }

    /// The columns beside the payloads that the batch has, as bits.
    pub(super) fn beside(&self) -> u64 {
        let flag = |there: bool, flag: u64| if there { flag } else { 0 };
        flag(self.keys().is_some(), KEYS)
            | flag(self.timestamps().is_some(), TIMESTAMPS)
            | flag(self.headers().is_some(), HEADERS)
    }

    /// Appends the columns of `shape`.
    pub(super) fn write_beside(&self, shape: u64, to: &mut impl WireWriter) -> Result<(), WireError> {
        if let Some(keys) = self.keys().filter(|_| shape & KEYS != 0) {
            put_column(to, keys)?;
        }
        if let Some(times) = self.timestamps().filter(|_| shape & TIMESTAMPS != 0) {
            to.put(bytemuck::cast_slice(times))?;
        }
        if let Some(headers) = self.headers().filter(|_| shape & HEADERS != 0) {
            put_column(to, headers)?;
        }
        Ok(())
    }

    /// Number of bytes that [`Batch::write`] appends.
    #[must_use]
    pub fn wire_len(&self, whole: bool) -> usize {
        8 + column_len(self.payloads()) + if whole { self.beside_len() } else { 0 }
    }

    /// Number of bytes that [`Batch::write_beside`] appends for all columns.
    pub(super) fn beside_len(&self) -> usize {
        let column = |column: Option<&Column>| column.map_or(0, column_len);
        column(self.keys()) + self.timestamps().map_or(0, |times| 8 * times.len()) + column(self.headers())
    }

    /// Becomes the records that were written, without origins; empty on error. Each of its columns has at most
    /// `limit` bytes.
    ///
    /// # Errors
    /// As [`WireReader::get`]; the rule that a column breaks.
    pub fn read(&mut self, from: &mut impl WireReader, limit: u64) -> Result<(), WireError> {
        self.clear();
        let result = self.read_columns(from, limit);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn read_columns(&mut self, from: &mut impl WireReader, limit: u64) -> Result<(), WireError> {
        let shape = get_u64(from)?;
        let rows = get_column(from, "payloads", limit, &mut self.payloads)?;
        self.read_beside(shape, rows, from, limit)
    }

    /// Reads the columns of `shape`, of `rows` entries each.
    pub(super) fn read_beside(
        &mut self,
        shape: u64,
        rows: usize,
        from: &mut impl WireReader,
        limit: u64,
    ) -> Result<(), WireError> {
        if shape & KEYS != 0 {
            self.shape.keys = true;
            read_beside(from, "keys", (limit, rows), &mut self.keys)?;
        }
        if shape & TIMESTAMPS != 0 {
            self.shape.timestamps = true;
            self.timestamps.resize(rows, 0);
            from.get(bytemuck::cast_slice_mut(&mut self.timestamps))?;
        }
        if shape & HEADERS != 0 {
            self.shape.headers = true;
            read_beside(from, "headers", (limit, rows), &mut self.headers)?;
        }
        Ok(())
    }
}

fn read_beside(
    from: &mut impl WireReader,
    name: &'static str,
    (limit, expected): (u64, usize),
    into: &mut Column,
) -> Result<(), WireError> {
    let found = get_column(from, name, limit, into)?;
    if found == expected { Ok(()) } else { Err(Malformed::Count { column: name, found, expected }.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Origin, Record};

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..9)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            records in prop::collection::vec((bytes(), bytes(), any::<i64>(), bytes()), 0..20),
            (keys, times, headers, whole) in any::<(bool, bool, bool, bool)>(),
        ) {
            let mut batch = Batch::new();
            for (payload, key, time, header) in &records {
                let record = Record {
                    payload,
                    key: keys.then_some(key),
                    timestamp: times.then_some(*time),
                    headers: headers.then_some(header),
                    origin: Origin::NONE,
                };
                prop_assert!(batch.push(record));
            }
            let mut wire = Vec::new();
            batch.write(&mut wire, whole).unwrap();
            prop_assert_eq!(wire.len(), batch.wire_len(whole));
            // The bytes are copied into words so that they begin at a multiple of 8.
            let words: Vec<u64> =
                wire.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
            let columns = view(bytemuck::cast_slice(&words)).unwrap();
            prop_assert_eq!(columns.payloads, (batch.payloads().offsets(), batch.payloads().bytes()));
            prop_assert_eq!(columns.timestamps, batch.timestamps().filter(|_| whole));
            let mut read = Batch::new();
            let mut rest = wire.as_slice();
            read.read(&mut rest, 1 << 20).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read.payloads(), batch.payloads());
            if whole {
                prop_assert_eq!(
                    (read.keys(), read.timestamps(), read.headers()),
                    (batch.keys(), batch.timestamps(), batch.headers())
                );
            } else {
                prop_assert_eq!((read.keys(), read.timestamps(), read.headers()), (None, None, None));
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_sound_batch(
            wire in prop::collection::vec(prop_oneof![4 => Just(0u8), 1 => any::<u8>()], 0..120),
        ) {
            let mut batch = Batch::new();
            let words: Vec<u64> = wire.iter().map(|&byte| u64::from(byte)).collect();
            let _ = view(bytemuck::cast_slice(&words));
            let wire: &[u8] = bytemuck::cast_slice(&words);
            if batch.read(&mut { wire }, 64).is_ok() {
                prop_assert!(batch.keys().is_none_or(|keys| keys.len() == batch.len()));
                prop_assert_eq!(batch.payloads().iter().map(<[u8]>::len).sum::<usize>(), batch.payloads().byte_len());
            } else {
                prop_assert!(batch.is_empty());
            }
        }
    }
}
