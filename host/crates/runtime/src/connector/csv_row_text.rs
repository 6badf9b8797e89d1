use std::sync::Arc;

use super::json_string::write_json_string;
use super::row_cells::{Parsed, RowCells};
use sage_batch::{Column, RowText};
use sage_plan::CsvSpec;

/// The way from the rows of CSV files with one header to the text of their records: JSON objects of strings.
#[derive(Debug, Clone)]
pub(super) struct CsvRowText {
    pub(super) spec: Arc<CsvSpec>,
    pub(super) kept: Arc<[KeptColumn]>,
}

/// A column of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptColumn {
    /// Its index in the row.
    pub(super) number: usize,
    /// The text before its value: `{"name":` or `,"name":`.
    pub(super) key: Vec<u8>,
}

impl CsvRowText {
    /// Whether rows of both have the same text.
    pub(super) fn is(&self, other: &Self) -> bool {
        let split = |spec: &CsvSpec| (spec.delimiter, spec.quote);
        let same = Arc::ptr_eq(&self.kept, &other.kept) || self.kept == other.kept;
        same && split(&self.spec) == split(&other.spec)
    }
}

impl RowText for CsvRowText {
    /// The source has checked that these rows have their columns, and that the cells are UTF-8.
    fn write(&self, payloads: &Column, text: &mut Column) {
        let mut cells = RowCells::new(&self.spec);
        for row in payloads.iter() {
            if !cells.split(row) {
                cells.clear();
                if let Parsed::Open = cells.parse(row, usize::MAX) {
                    cells.parse(b"\n", usize::MAX);
                }
            }
            text.push_with(|out| {
                // A cell that is not UTF-8 would leave its object open, and the reader would refuse the record.
                let _ = write_object(&self.kept, &cells, out);
            });
        }
    }
}

/// Appends the row as a JSON object. The error is the index of a column that is not UTF-8.
pub(super) fn write_object(kept: &[KeptColumn], cells: &RowCells, out: &mut Vec<u8>) -> Result<(), usize> {
    if kept.is_empty() {
        out.push(b'{');
    }
    for KeptColumn { number, key } in kept {
        out.extend_from_slice(key);
        write_json_string(cells.cell(*number), out).ok_or(*number)?;
    }
    out.push(b'}');
    Ok(())
}
