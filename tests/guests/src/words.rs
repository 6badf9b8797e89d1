use crate::{Batch, Column, output};

/// The record on which a guest misbehaves.
pub const POISON: &[u8] = b"poison";

/// A column with the given entries.
pub fn column<T: AsRef<[u8]>>(entries: impl IntoIterator<Item = T>) -> Column {
    let mut column = Column { offsets: vec![0], bytes: Vec::new() };
    for entry in entries {
        column.bytes.extend_from_slice(entry.as_ref());
        column.offsets.push(column.bytes.len() as u32);
    }
    column
}

/// A malformed column: exactly these offsets over `bytes` bytes.
pub fn broken(offsets: &[u32], bytes: usize) -> Column {
    Column { offsets: offsets.to_vec(), bytes: vec![b'x'; bytes] }
}

/// The entries of a column.
pub fn entries(column: &Column) -> impl Iterator<Item = &[u8]> {
    column.offsets.windows(2).map(|pair| &column.bytes[pair[0] as usize..pair[1] as usize])
}

/// Number of entries.
pub fn rows(column: &Column) -> usize {
    column.offsets.len() - 1
}

/// Whether any entry is the poison.
pub fn poisoned(column: &Column) -> bool {
    entries(column).any(|entry| entry == POISON)
}

/// Row of the first poison, if there is one.
pub fn poison_row(column: &Column) -> Option<u32> {
    entries(column).position(|entry| entry == POISON).map(|i| i as u32)
}

/// Rejects every poison with `message`.
pub fn reject_poison(payloads: &Column, message: &str) {
    let rows: Vec<u32> =
        (0_u32..).zip(entries(payloads)).filter(|(_, entry)| *entry == POISON).map(|(row, _)| row).collect();
    if !rows.is_empty() {
        output::failures(&rows, &column(rows.iter().map(|_| message)));
    }
}

/// Number in a record such as `r123`; 0 for other records.
pub fn number(entry: &[u8]) -> u64 {
    std::str::from_utf8(entry).ok().and_then(|text| text.trim_start_matches('r').parse().ok()).unwrap_or(0)
}

/// A batch with only payloads.
pub fn batch_of(payloads: Column) -> Batch {
    Batch { payloads, keys: None, timestamps: None, headers: None }
}

/// The correct answer of a map: its input.
pub fn echo(payloads: &Column) {
    output::payloads(payloads);
}

/// The correct answer of a filter that keeps every record.
pub fn keep_all(payloads: &Column) {
    let n = rows(payloads);
    let bits: Vec<u8> = (0..n.div_ceil(8)).map(|i| if (i + 1) * 8 <= n { 0xff } else { (1 << (n % 8)) - 1 }).collect();
    output::keep(&bits);
}
