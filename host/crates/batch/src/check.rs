use thiserror::Error;

/// How an answer breaks the contract. Displayed to whoever wrote the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A column without the closing offset.
    #[error("{column}: no offsets, a column of n entries has n + 1")]
    NoOffsets {
        /// Which column.
        column: &'static str,
    },
    /// A column whose first offset is not 0.
    #[error("{column}: offsets start at {found}, not at 0")]
    FirstOffset {
        /// Which column.
        column: &'static str,
        /// The first offset.
        found: u32,
    },
    /// An offset below the one before it.
    #[error("{column}: offset {index} is {found}, below {before} before it")]
    FallingOffset {
        /// Which column.
        column: &'static str,
        /// Where in `offsets`.
        index: usize,
        /// The offset before.
        before: u32,
        /// The offset there.
        found: u32,
    },
    /// A last offset that is not the number of bytes.
    #[error("{column}: the last offset is {found}, but there are {bytes} bytes")]
    LastOffset {
        /// Which column.
        column: &'static str,
        /// The last offset.
        found: u32,
        /// How many bytes came with it.
        bytes: usize,
    },
    /// A column with another number of entries than the records it is for.
    #[error("{column}: {found} entries for {expected} records")]
    Count {
        /// Which column.
        column: &'static str,
        /// How many entries it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A bitmap of the wrong length.
    #[error("{column}: a bitmap of {found} bytes, {expected} are needed for {records} records")]
    BitmapLength {
        /// Which bitmap.
        column: &'static str,
        /// Its bytes.
        found: usize,
        /// The bytes it should have.
        expected: usize,
        /// How many records.
        records: usize,
    },
    /// A bit set past the last record.
    #[error("{column}: a bit is set past record {records}")]
    BitmapTail {
        /// Which bitmap.
        column: &'static str,
        /// How many records.
        records: usize,
    },
    /// An index of a record that is not there.
    #[error("{column}: entry {index} names record {found}, there are {records}")]
    OutOfRange {
        /// Which list.
        column: &'static str,
        /// Where in it.
        index: usize,
        /// The record it names.
        found: u32,
        /// How many records there are.
        records: usize,
    },
    /// An index that should be greater than the one before it (or at least as great).
    #[error("{column}: entry {index} names record {found} after record {before}")]
    NotRising {
        /// Which list.
        column: &'static str,
        /// Where in it.
        index: usize,
        /// The one before.
        before: u32,
        /// The one there.
        found: u32,
    },
    /// Text that is not UTF-8.
    #[error("{column}: entry {index} is not UTF-8")]
    NotUtf8 {
        /// Which column.
        column: &'static str,
        /// Where in it.
        index: usize,
    },
}

/// Checks the offsets of a column: n + 1 of them, from 0, never falling, ending at `bytes`. Returns n.
///
/// # Errors
/// The first rule it breaks.
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

/// Checks parents: each below `records`, never falling, the first not below `floor` (the last one of the call before).
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

/// Checks row numbers: each below `records`, each greater than the one before, the first greater than `after`.
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

/// Checks a bitmap for `records` records: its length, and that nothing is set past the last one.
///
/// # Errors
/// The rule it breaks.
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

/// `Err((index, before, found))` at the first fall. A whole pass without branches first, which vectorises: an
/// early exit in the loop costs four times as much on the batches that are fine, which is nearly all.
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
