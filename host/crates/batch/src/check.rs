use thiserror::Error;

/// The way in which a guest's answer breaks the contract. The message is for the author of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A column has no offsets, not even the closing one.
    #[error("{column}: no offsets, a column of n entries has n + 1")]
    NoOffsets {
        /// Name of the column.
        column: &'static str,
    },
    /// The first offset of a column is not 0.
    #[error("{column}: offsets start at {found}, not at 0")]
    FirstOffset {
        /// Name of the column.
        column: &'static str,
        /// The first offset.
        found: u32,
    },
    /// An offset is below the one before it.
    #[error("{column}: offset {index} is {found}, below {before} before it")]
    FallingOffset {
        /// Name of the column.
        column: &'static str,
        /// Index in `offsets`.
        index: usize,
        /// The offset before.
        before: u32,
        /// The offset at that index.
        found: u32,
    },
    /// The last offset is not the number of bytes.
    #[error("{column}: the last offset is {found}, but there are {bytes} bytes")]
    LastOffset {
        /// Name of the column.
        column: &'static str,
        /// The last offset.
        found: u32,
        /// Number of bytes in the column.
        bytes: usize,
    },
    /// The number of entries in a column is not the number of its records.
    #[error("{column}: {found} entries for {expected} records")]
    Count {
        /// Name of the column.
        column: &'static str,
        /// Number of entries in the column.
        found: usize,
        /// Number of entries that the column should have.
        expected: usize,
    },
    /// A bitmap has the wrong length.
    #[error("{column}: a bitmap of {found} bytes, {expected} are needed for {records} records")]
    BitmapLength {
        /// Name of the bitmap.
        column: &'static str,
        /// Number of bytes in the bitmap.
        found: usize,
        /// Number of bytes that the bitmap should have.
        expected: usize,
        /// Number of records.
        records: usize,
    },
    /// A bit is set past the last record.
    #[error("{column}: a bit is set past record {records}")]
    BitmapTail {
        /// Name of the bitmap.
        column: &'static str,
        /// Number of records.
        records: usize,
    },
    /// An entry is the index of a record that does not exist.
    #[error("{column}: entry {index} names record {found}, there are {records}")]
    OutOfRange {
        /// Name of the list.
        column: &'static str,
        /// Index in the list.
        index: usize,
        /// The record that the entry names.
        found: u32,
        /// Number of records.
        records: usize,
    },
    /// An entry is too small: it should be greater than the entry before it (or, for parents, at least as
    /// great).
    #[error("{column}: entry {index} names record {found} after record {before}")]
    NotRising {
        /// Name of the list.
        column: &'static str,
        /// Index in the list.
        index: usize,
        /// The entry before.
        before: u32,
        /// The entry at that index.
        found: u32,
    },
    /// A text is not UTF-8.
    #[error("{column}: entry {index} is not UTF-8")]
    NotUtf8 {
        /// Name of the column.
        column: &'static str,
        /// Index of the entry.
        index: usize,
    },
}

/// Checks the offsets of a column: n + 1 offsets that start at 0, never fall, and end at `bytes`. Returns n.
///
/// # Errors
/// The first rule that the offsets break.
pub fn check_offsets(column: &'static str, offsets: &[u32], bytes: usize) -> Result<usize, Malformed> {
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
        return Err(Malformed::NoOffsets { column });
    };
    if first != 0 {
        return Err(Malformed::FirstOffset { column, found: first });
    }
    check_never_falls(offsets).map_err(|(index, before, found)| Malformed::FallingOffset {
        column,
        index,
        before,
        found,
    })?;
    if last as usize != bytes {
        return Err(Malformed::LastOffset { column, found: last, bytes });
    }
    Ok(offsets.len() - 1)
}

/// Checks parents: each is below `records`, they never fall, and the first is not below `floor` (the last
/// parent of the previous output of the same call).
///
/// # Errors
/// The first entry that breaks a rule.
pub fn check_parents(column: &'static str, parents: &[u32], records: usize, floor: u32) -> Result<(), Malformed> {
    if let Some(&first) = parents.first()
        && first < floor
    {
        return Err(Malformed::NotRising { column, index: 0, before: floor, found: first });
    }
    check_never_falls(parents).map_err(|(index, before, found)| Malformed::NotRising {
        column,
        index,
        before,
        found,
    })?;
    match parents.last() {
        Some(&last) if last as usize >= records => {
            let index = parents.iter().position(|&p| p as usize >= records).unwrap_or(0);
            let found = parents.get(index).copied().unwrap_or(last);
            Err(Malformed::OutOfRange { column, index, found, records })
        }
        _ => Ok(()),
    }
}

/// Checks row numbers: each is below `records` and greater than the one before, and the first is greater than
/// `after`.
///
/// # Errors
/// The first entry that breaks a rule.
pub fn check_rising(column: &'static str, rows: &[u32], records: usize, after: Option<u32>) -> Result<(), Malformed> {
    let mut before = after;
    for (index, &found) in rows.iter().enumerate() {
        if found as usize >= records {
            return Err(Malformed::OutOfRange { column, index, found, records });
        }
        if let Some(before) = before
            && found <= before
        {
            return Err(Malformed::NotRising { column, index, before, found });
        }
        before = Some(found);
    }
    Ok(())
}

/// Checks a bitmap for `records` records: its length, and that no bit is set past the last record.
///
/// # Errors
/// The first rule that the bitmap breaks.
pub fn check_bitmap(column: &'static str, bitmap: &[u8], records: usize) -> Result<(), Malformed> {
    let expected = records.div_ceil(8);
    if bitmap.len() != expected {
        return Err(Malformed::BitmapLength { column, found: bitmap.len(), expected, records });
    }
    let used = records % 8;
    match bitmap.last() {
        Some(&last) if used != 0 && last >> used != 0 => Err(Malformed::BitmapTail { column, records }),
        _ => Ok(()),
    }
}

/// Returns `Err((index, before, found))` at the first fall. The first pass has no branches, which lets the
/// compiler vectorise it: an early exit in the loop costs four times as much on valid batches, which are nearly
/// all.
fn check_never_falls(numbers: &[u32]) -> Result<(), (usize, u32, u32)> {
    let falls = numbers.windows(2).fold(false, |falls, pair| match pair {
        [before, found] => falls | (found < before),
        _ => falls,
    });
    if !falls {
        return Ok(());
    }
    for (index, pair) in numbers.windows(2).enumerate() {
        if let [before, found] = *pair
            && found < before
        {
            return Err((index + 1, before, found));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_break_a_rule_are_named() {
        let cases: [(&[u32], usize, Result<usize, &str>); 8] = [
            (&[0], 0, Ok(0)),
            (&[0, 0, 3], 3, Ok(2)),
            (&[], 0, Err("c: no offsets, a column of n entries has n + 1")),
            (&[1, 2], 2, Err("c: offsets start at 1, not at 0")),
            (&[0, 5, 3], 3, Err("c: offset 2 is 3, below 5 before it")),
            (&[0, 2], 3, Err("c: the last offset is 2, but there are 3 bytes")),
            (&[0, u32::MAX], 3, Err("c: the last offset is 4294967295, but there are 3 bytes")),
            (&[0, 9, 1, 9], 9, Err("c: offset 2 is 1, below 9 before it")),
        ];
        for (offsets, bytes, expected) in cases {
            let found = check_offsets("c", offsets, bytes).map_err(|e| e.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{offsets:?}");
        }
    }

    #[test]
    fn parents_stay_in_range_and_never_fall() {
        assert_eq!(check_parents("p", &[0, 0, 2], 3, 0), Ok(()));
        assert_eq!(check_parents("p", &[2, 2], 3, 2), Ok(()));
        assert!(matches!(check_parents("p", &[0, 3], 3, 0), Err(Malformed::OutOfRange { index: 1, found: 3, .. })));
        assert!(matches!(check_parents("p", &[1, 0], 3, 0), Err(Malformed::NotRising { index: 1, .. })));
        assert!(matches!(check_parents("p", &[1], 3, 2), Err(Malformed::NotRising { index: 0, .. })));
    }

    #[test]
    fn rows_rise_strictly_over_the_whole_call() {
        assert_eq!(check_rising("r", &[0, 2], 3, None), Ok(()));
        assert!(check_rising("r", &[1, 1], 3, None).is_err());
        assert!(check_rising("r", &[1], 3, Some(1)).is_err());
        assert!(check_rising("r", &[3], 3, None).is_err());
    }

    #[test]
    fn bitmaps_have_their_length_and_a_clean_tail() {
        assert_eq!(check_bitmap("b", &[], 0), Ok(()));
        assert_eq!(check_bitmap("b", &[0xff, 0b11], 10), Ok(()));
        assert!(matches!(check_bitmap("b", &[0xff], 10), Err(Malformed::BitmapLength { expected: 2, .. })));
        assert!(matches!(check_bitmap("b", &[0xff, 0b111], 10), Err(Malformed::BitmapTail { .. })));
    }
}
