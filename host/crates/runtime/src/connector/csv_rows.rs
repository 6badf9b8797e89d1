use std::sync::Arc;

use super::csv_bad_row::{BadRow, OTHER_ENCODING, Spoils};
use super::csv_columns::{Columns, Found};
use super::csv_row_text::{CsvRowText, KeptColumn, write_object};
use super::line_reader::{content, without_mark};
use super::row_cells::{Parsed, RowCells};
use sage_batch::fields::Table;
use sage_formats::FieldError;
use sage_formats::csv::CsvCells;
use sage_plan::{CsvSpec, TextSpec};

/// Turns the lines of a CSV file into JSON objects of strings, with the header's names in the header's order.
///
/// Fields are separated by the delimiter and may be quoted (`"a ""b"" c"`); a quoted field may span several
/// lines (RFC 4180). Blank lines between rows are skipped. The caller feeds one line at a time, so that the
/// line of each row is known, and an open quote cannot consume more than the longest allowed row.
pub(super) struct CsvRows {
    cells: RowCells,
    columns: Columns,
    /// Reads the fields of a row, once the columns are known.
    reader: Option<CsvCells>,
    spec: Arc<CsvSpec>,
    row: Option<OpenRow>,
    longest: usize,
}

#[derive(Debug, Clone, Copy)]
struct OpenRow {
    line: u64,
    bytes: usize,
}

/// The effect of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// The line completes nothing: a blank line or the header.
    Nothing,
    /// The line belongs to a row that continues on the next line.
    Open,
    /// The line completes the row that began on this line number.
    Row(u64),
}

impl CsvRows {
    /// Parses rows of up to `longest` bytes.
    pub(super) fn new(TextSpec { csv, stamps, reads, .. }: &TextSpec, longest: usize) -> Self {
        Self {
            cells: RowCells::new(csv),
            columns: Columns::new(csv, stamps, reads.as_ref()),
            reader: None,
            spec: Arc::new(csv.clone()),
            row: None,
            longest,
        }
    }

    /// The columns, and the notes about them.
    pub(super) fn columns(&mut self) -> &mut Columns {
        &mut self.columns
    }

    /// Field `slot` in the list of key, time and headers, of the row just completed.
    pub(super) fn stamped_field(&self, slot: usize) -> &[u8] {
        self.columns.stamped(slot).map(|number| self.cells.cell(number)).unwrap_or_default()
    }

    /// Takes line number `line`, with its line end.
    pub(super) fn feed(&mut self, line: u64, raw: &[u8]) -> Result<Fed, BadRow> {
        let due = self.columns.header_is_due();
        self.take(line, raw).map_err(|bad| {
            self.give_up();
            // Without its header, no row of a file can be read.
            if due { bad.spoils(Spoils::File) } else { bad }
        })
    }

    /// Discards the open row, and returns the line on which it began.
    pub(super) fn give_up(&mut self) -> Option<u64> {
        self.cells.clear();
        Some(self.row.take()?.line)
    }

    fn take(&mut self, line: u64, raw: &[u8]) -> Result<Fed, BadRow> {
        let raw = if self.row.is_none() { without_mark(raw) } else { raw };
        if self.row.is_none() && content(raw).is_empty() {
            return Ok(Fed::Nothing);
        }
        if self.row.is_none() && self.columns.are_known() && raw.len() <= self.longest && self.cells.split(content(raw))
        {
            return Ok(Fed::Row(line));
        }
        let mut row = self.row.unwrap_or_else(|| {
            self.cells.clear();
            OpenRow { line, bytes: 0 }
        });
        row.bytes = row.bytes.saturating_add(raw.len());
        self.row = Some(row);
        if row.bytes > self.longest.saturating_add(2) {
            let what = format!("the row is longer than the {} bytes that a record may have", self.longest);
            return Err(BadRow::new(row.line, what).spoils(Spoils::FirstLine).hint(
                "is a quote left open? otherwise: a record of a built-in source is bounded by 4MiB \
                 and by object_store_memory of each stage that reads it",
            ));
        }
        let most = if self.columns.are_known() { self.columns.width() } else { usize::MAX };
        let parsed = match self.cells.parse(raw, most) {
            Parsed::Open if !raw.ends_with(b"\n") && !raw.ends_with(b"\r") => self.cells.parse(b"\n", most),
            parsed => parsed,
        };
        match parsed {
            Parsed::Open => return Ok(Fed::Open),
            Parsed::Row(behind) => {
                let rest = raw.len().checked_sub(behind).and_then(|at| raw.get(at..)).unwrap_or_default();
                if !content(rest).is_empty() {
                    return Err(BadRow::new(row.line, "a carriage return (CR) outside quotes stands inside a line")
                        .hint("where CR ends lines: line_end = \"any\""));
                }
            }
            Parsed::TooWide => {
                let (found, expected) = (self.cells.count() - 1, self.columns.width());
                let bad = self
                    .wrong_width(row.line, format!("more than {found} fields in the row, {expected} in the header"));
                // If the row spans several lines, an open quote is the most likely cause.
                return Err(if row.line == line { bad } else { bad.spoils(Spoils::FirstLine) });
            }
        }
        self.row = None;
        if self.columns.are_known() {
            return Ok(Fed::Row(row.line));
        }
        match self.columns.find(row.line, self.cells.cells())? {
            Found::Header => Ok(Fed::Nothing),
            Found::Row => Ok(Fed::Row(row.line)),
        }
    }

    /// Ends the file. An open row is an error.
    pub(super) fn end(&mut self) -> Result<(), BadRow> {
        let Some(line) = self.give_up() else { return Ok(()) };
        let spoils = if self.columns.header_is_due() { Spoils::File } else { Spoils::FirstLine };
        let bad = BadRow::new(line, "the row opens a quote that is never closed");
        Err(bad.spoils(spoils).hint("with quote = \"\" a quote is a character like others"))
    }

    /// Appends the row just completed, which began on `line`, as a JSON object. `charset` names the encoding
    /// that its text should have.
    pub(super) fn write_row(&self, line: u64, charset: &str, out: &mut Vec<u8>) -> Result<(), BadRow> {
        self.check_width(line)?;
        write_object(self.columns.kept(), &self.cells, out).map_err(|number| self.not_text(line, number, charset))
    }

    /// The row just completed as it came, without its line end.
    pub(super) fn row(&self) -> &[u8] {
        self.cells.row()
    }

    /// Checks the row just completed as its text is checked. Returns the length of the longer of the two, at least
    /// where it matters. `object` is empty, and serves as a buffer.
    pub(super) fn check_row(&self, line: u64, charset: &str, object: &mut Vec<u8>) -> Result<usize, BadRow> {
        self.check_width(line)?;
        let (row, kept) = (self.cells.row(), self.columns.kept());
        // An escape takes six bytes for one.
        let most: usize = kept.iter().map(|KeptColumn { key, .. }| key.len() + 2).sum::<usize>() + 6 * row.len() + 2;
        if most <= self.longest && simdutf8::basic::from_utf8(row).is_ok() {
            return Ok(row.len());
        }
        self.write_row(line, charset, object)?;
        Ok(object.len().max(row.len()))
    }

    /// Appends the fields of the row just completed to `table`.
    pub(super) fn read_fields(&mut self, table: &mut Table) -> Result<(), FieldError> {
        let Self { cells, columns, reader, .. } = self;
        let reader = reader.get_or_insert_with(|| CsvCells::at(table.schema(), columns.read().to_vec()));
        reader.read(|number| Some(cells.cell(number)), |number| cells.is_quoted(number), table)
    }

    /// The way from a row to its text. `None` until the columns are known.
    pub(super) fn row_text(&self) -> Option<CsvRowText> {
        let known = self.columns.are_known();
        known.then(|| CsvRowText { spec: Arc::clone(&self.spec), kept: Arc::clone(self.columns.kept()) })
    }

    fn check_width(&self, line: u64) -> Result<(), BadRow> {
        let (found, expected) = (self.cells.count(), self.columns.width());
        if found == expected {
            return Ok(());
        }
        Err(self.wrong_width(line, format!("{found} fields in the row, {expected} in the header")))
    }

    fn wrong_width(&self, line: u64, what: String) -> BadRow {
        let bad = BadRow::new(line, what);
        match self.columns.other_delimiter() {
            Some(other) => bad.hint(format!("is the delimiter another? delimiter = \"{}\"", other.escape_debug())),
            None => bad,
        }
    }

    fn not_text(&self, line: u64, number: usize, charset: &str) -> BadRow {
        let bad = BadRow::new(line, format!("field {} is not valid {charset}", number + 1));
        if charset == "UTF-8" { bad.hint(OTHER_ENCODING) } else { bad }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a file, each with its line, and the result of the reading.
    fn read(text: &[u8]) -> (Vec<(u64, String)>, Result<(), BadRow>) {
        read_as(text, &CsvSpec::default())
    }

    fn read_as(text: &[u8], spec: &CsvSpec) -> (Vec<(u64, String)>, Result<(), BadRow>) {
        let mut rows = CsvRows::new(&TextSpec { csv: spec.clone(), ..TextSpec::default() }, 1000);
        let mut found = Vec::new();
        for (number, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
            match rows.feed(number as u64 + 1, line) {
                Ok(Fed::Nothing | Fed::Open) => {}
                Ok(Fed::Row(at)) => {
                    let mut out = Vec::new();
                    if let Err(error) = rows.write_row(at, "UTF-8", &mut out) {
                        return (found, Err(error));
                    }
                    found.push((at, String::from_utf8(out).unwrap()));
                }
                Err(error) => return (found, Err(error)),
            }
        }
        (found, rows.end())
    }

    #[test]
    fn rows_become_objects_of_strings_in_header_order() {
        let cases: [(&str, &[(u64, &str)]); 14] = [
            ("", &[]),
            ("\n\n", &[]),
            ("a,,b,\n1,2,3,\n", &[(2, r#"{"a":"1","column_2":"2","b":"3","column_4":""}"#)]),
            ("a,b\r\r\n1,2\r\r\n", &[(2, r#"{"a":"1","b":"2"}"#)]),
            ("\u{feff}a,b\n1,2\n\u{feff}3,4\n", &[(2, r#"{"a":"1","b":"2"}"#), (3, r#"{"a":"3","b":"4"}"#)]),
            ("b,a\n1,2\n", &[(2, r#"{"b":"1","a":"2"}"#)]),
            ("a,b\r\n1,2\r\n3,\r\n", &[(2, r#"{"a":"1","b":"2"}"#), (3, r#"{"a":"3","b":""}"#)]),
            ("a\n1\n\n2", &[(2, r#"{"a":"1"}"#), (4, r#"{"a":"2"}"#)]),
            ("\u{feff}a\n1\n", &[(2, r#"{"a":"1"}"#)]),
            ("a,b\n\"x, \"\"y\"\"\",\"\"\n", &[(2, r#"{"a":"x, \"y\"","b":""}"#)]),
            (
                "a,b\n\"one\r\n\r\ntwo\",\"z\"\r\n3,4\n",
                &[(2, r#"{"a":"one\r\n\r\ntwo","b":"z"}"#), (5, r#"{"a":"3","b":"4"}"#)],
            ),
            ("a\n\"end\r\"\n", &[(2, r#"{"a":"end\r"}"#)]),
            ("a,b\n5\" pipe,\t\n", &[(2, r#"{"a":"5\" pipe","b":"\t"}"#)]),
            ("\"na\"\"me\"\n\"last\"", &[(2, r#"{"na\"me":"last"}"#)]),
        ];
        for (text, expected) in cases {
            let expected = expected.iter().map(|&(line, row)| (line, row.to_owned())).collect();
            assert_eq!(read(text.as_bytes()), (expected, Ok(())), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_line_the_row_begins_on() {
        let wide = format!("a\n\"\"{}\n", ",".repeat(900));
        let long = format!("a\n\"{}", "x\n".repeat(600));
        let cases: [(&[u8], u64, &str); 8] = [
            (b"a,b,a\n", 1, "two columns are called \"a\""),
            (b"a,b\n1,2\r3,4\n", 2, "a carriage return (CR) outside quotes stands inside a line"),
            (b"a\xff,b\n", 1, "the name of column 1 is not valid UTF-8"),
            (b"a,b\n1,2\n1,2,3\n", 3, "3 fields in the row, 2 in the header"),
            (b"a,b\n1\n", 2, "1 fields in the row, 2 in the header"),
            (b"a,b\nx\xc3,\xa9\n", 2, "field 1 is not valid UTF-8"),
            (b"a\n1\n\"2\n3\n", 3, "the row opens a quote that is never closed"),
            (wide.as_bytes(), 2, "more than 63 fields in the row, 1 in the header"),
        ];
        for (text, line, what) in cases {
            let error = read(text).1.unwrap_err();
            assert_eq!((error.line, error.what.as_str()), (line, what), "{:?}", String::from_utf8_lossy(text));
        }
        let error = read(long.as_bytes()).1.unwrap_err();
        assert_eq!(
            (error.line, error.what.as_str()),
            (2, "the row is longer than the 1000 bytes that a record may have")
        );
    }
}
