//! Any columns, bitmaps and row numbers from a guest are refused exactly if they break the contract;
//! otherwise they are safe to read. This file states the rules a second time, one by one and without regard
//! to speed.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sage_batch::{Batch, Bitmap, Column, RawColumns, check_bitmap, check_parents, check_rising};

#[derive(Debug, Arbitrary)]
struct Input {
    payloads: Guess,
    keys: Option<Guess>,
    timestamps: Option<Vec<i64>>,
    headers: Option<Guess>,
    range: (u8, u8),
    records: u8,
    bitmap: Vec<u8>,
    numbers: Vec<u32>,
    before: Option<u32>,
}

/// A column, in most cases one that is nearly right, because random offsets never are.
#[derive(Debug, Arbitrary)]
enum Guess {
    Random(Vec<u32>, Vec<u8>),
    Lengths(Vec<u8>),
    OneWrong(Vec<u8>, u8, u32),
    WrongEnd(Vec<u8>, u8),
}

impl Guess {
    fn columns(self) -> (Vec<u32>, Vec<u8>) {
        let rising = |lengths: &[u8]| {
            let mut end = 0;
            let mut offsets = vec![0];
            offsets.extend(lengths.iter().map(|&length| {
                end += u32::from(length);
                end
            }));
            (offsets, vec![b'x'; end as usize])
        };
        match self {
            Self::Random(offsets, bytes) => (offsets, bytes),
            Self::Lengths(lengths) => rising(&lengths),
            Self::OneWrong(lengths, at, value) => {
                let (mut offsets, bytes) = rising(&lengths);
                let at = usize::from(at) % offsets.len();
                offsets[at] = value;
                (offsets, bytes)
            }
            Self::WrongEnd(lengths, end) => {
                let (offsets, mut bytes) = rising(&lengths);
                bytes.resize(usize::from(end), b'x');
                (offsets, bytes)
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let Input { payloads, keys, timestamps, headers, range, records, bitmap, numbers, before } = input;
    let payloads = payloads.columns();
    let keys = keys.map(Guess::columns);
    let headers = headers.map(Guess::columns);
    column(&payloads, range);
    batch(&payloads, keys.as_ref(), timestamps.as_deref(), headers.as_ref(), range);
    bits(&bitmap, usize::from(records));
    rows(&numbers, usize::from(records), before);
});

type Raw = (Vec<u32>, Vec<u8>);

fn is_column((offsets, bytes): &Raw) -> bool {
    offsets.first() == Some(&0)
        && offsets.is_sorted()
        && offsets.last().is_some_and(|&last| last as usize == bytes.len())
}

fn column(raw: &Raw, (start, end): (u8, u8)) {
    let mut column = Column::new();
    column.push(b"what was there before");
    let assigned = column.assign("column", &raw.0, &raw.1);
    assert_eq!(assigned.is_ok(), is_column(raw), "{raw:?}: {assigned:?}");
    let Ok(rows) = assigned else {
        assert!(column.is_empty() && column.byte_len() == 0 && column.get(0).is_none());
        return;
    };
    assert_eq!(rows, column.len());
    let read: Vec<&[u8]> = (0..rows).map(|row| column.get(row).expect("a row in range")).collect();
    assert!(column.iter().eq(read.iter().copied()));
    assert_eq!(read.concat(), raw.1);
    assert!(column.get(rows).is_none() && column.get(usize::MAX - 1).is_none());

    let (start, end) = (usize::from(start), usize::from(end));
    let mut part = Column::new();
    part.push(b"first");
    part.append_range(&column, start, end);
    let expected = read.get(start..end.min(rows)).unwrap_or_default();
    assert!(part.iter().skip(1).eq(expected.iter().copied()), "{start}..{end} of {rows}");
}

fn borrow(raw: &Raw) -> (&[u32], &[u8]) {
    (&raw.0, &raw.1)
}

fn batch(
    payloads: &Raw,
    keys: Option<&Raw>,
    timestamps: Option<&[i64]>,
    headers: Option<&Raw>,
    (start, end): (u8, u8),
) {
    let columns =
        RawColumns { payloads: borrow(payloads), keys: keys.map(borrow), timestamps, headers: headers.map(borrow) };
    let rows = payloads.0.len().wrapping_sub(1);
    let agrees = |raw: Option<&Raw>| raw.is_none_or(|raw| is_column(raw) && raw.0.len() - 1 == rows);
    let sound =
        is_column(payloads) && agrees(keys) && agrees(headers) && timestamps.is_none_or(|times| times.len() == rows);
    let mut batch = Batch::new();
    let assigned = batch.assign(columns);
    assert_eq!(assigned.is_ok(), sound, "{assigned:?}");
    if !sound {
        assert!(
            batch.is_empty() && batch.keys().is_none() && batch.timestamps().is_none() && batch.headers().is_none()
        );
        return;
    }
    assert_eq!(batch.len(), rows);
    let mut copy = Batch::new();
    for row in 0..rows {
        let record = batch.record(row).expect("a row in range");
        assert_eq!(record.key.is_some(), keys.is_some());
        assert_eq!(record.timestamp.is_some(), timestamps.is_some());
        assert!(copy.push(record), "records of one batch have one shape");
    }
    assert!(batch.record(rows).is_none());
    let (start, end) = (usize::from(start), usize::from(end).min(rows));
    let mut part = Batch::new();
    assert!(part.append_range(&copy, start, end));
    assert_eq!(part.len(), end.saturating_sub(start));
}

fn bits(bitmap: &[u8], records: usize) {
    let bit = |row: usize| bitmap.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1);
    let sound = bitmap.len() == records.div_ceil(8) && (records..bitmap.len() * 8).all(|row| !bit(row));
    assert_eq!(check_bitmap("keep", bitmap, records).is_ok(), sound);
    if !sound {
        return;
    }
    let checked = Bitmap::new(bitmap);
    let mut in_runs = vec![false; records];
    checked.runs(records, |start, end| {
        assert!(start < end && end <= records);
        in_runs[start..end].fill(true);
    });
    for (row, in_run) in in_runs.into_iter().enumerate() {
        assert!(in_run == bit(row) && checked.get(row) == bit(row), "row {row}");
    }
    assert_eq!(checked.count(), (0..records).filter(|&row| bit(row)).count());
}

fn rows(numbers: &[u32], records: usize, before: Option<u32>) {
    let in_range = numbers.iter().all(|&number| (number as usize) < records);
    let floor = before.unwrap_or(0);
    let parents = in_range && numbers.is_sorted() && numbers.first().is_none_or(|&first| first >= floor);
    assert_eq!(check_parents("parents", numbers, records, floor).is_ok(), parents);
    let rising = in_range
        && numbers.windows(2).all(|pair| pair[0] < pair[1])
        && numbers.first().is_none_or(|&first| before.is_none_or(|before| first > before));
    assert_eq!(check_rising("rows", numbers, records, before).is_ok(), rising);
}
