use crate::{Batch, Column, output};

/// The record that a guest goes wrong on.
pub const POISON: &[u8] = b"poison";

/// A column of these entries.
pub fn column<T: AsRef<[u8]>>(entries: impl IntoIterator<Item = T>) -> Column {
    let mut column = Column { offsets: vec![0], bytes: Vec::new() };
    for entry in entries {
        column.bytes.extend_from_slice(entry.as_ref());
        column.offsets.push(column.bytes.len() as u32);
    }
    column
}

/// A column as it should not be: exactly these offsets over that many bytes.
pub fn broken(offsets: &[u32], bytes: usize) -> Column {
    Column { offsets: offsets.to_vec(), bytes: vec![b'x'; bytes] }
}

/// The entries of a column.
pub fn entries(column: &Column) -> impl Iterator<Item = &[u8]> {
    column.offsets.windows(2).map(|pair| &column.bytes[pair[0] as usize..pair[1] as usize])
}

/// How many entries.
pub fn rows(column: &Column) -> usize {
    column.offsets.len() - 1
}

/// Whether the poison is among them.
pub fn poisoned(column: &Column) -> bool {
    entries(column).any(|entry| entry == POISON)
}

/// Where the first poison is, if there is one.
pub fn poison_row(column: &Column) -> Option<u32> {
    entries(column).position(|entry| entry == POISON).map(|i| i as u32)
}

/// Rejects every poison there is, each with this message.
pub fn reject_poison(payloads: &Column, message: &str) {
    let rows: Vec<u32> =
        (0_u32..).zip(entries(payloads)).filter(|(_, entry)| *entry == POISON).map(|(row, _)| row).collect();
    if !rows.is_empty() {
        output::failures(&rows, &column(rows.iter().map(|_| message)));
    }
}

/// The number of a record `r123`, as the tests write them; 0 for others.
pub fn number(entry: &[u8]) -> u64 {
    std::str::from_utf8(entry).ok().and_then(|text| text.trim_start_matches('r').parse().ok()).unwrap_or(0)
}

/// A batch of payloads alone.
pub fn batch_of(payloads: Column) -> Batch {
    Batch { payloads, keys: None, timestamps: None, headers: None }
}

/// The honest answer of a map: what came in.
pub fn echo(payloads: &Column) {
    output::payloads(payloads);
}

/// The honest answer of a filter: all of them.
pub fn keep_all(payloads: &Column) {
    let n = rows(payloads);
    let bits: Vec<u8> = (0..n.div_ceil(8)).map(|i| if (i + 1) * 8 <= n { 0xff } else { (1 << (n % 8)) - 1 }).collect();
    output::keep(&bits);
}
