use std::collections::HashSet;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::line_reader::{content, without_mark};

/// Turns the lines of a CSV file into JSON objects of strings, with the header's names in the header's order.
///
/// Fields are separated by commas and may be quoted (`"a ""b"" c"`), then also over several lines (RFC 4180). Blank lines between
/// rows are skipped. Fed one line at a time, so that rows are known by their line and an open quote cannot swallow
/// more than the longest row allowed.
pub(super) struct CsvRows {
    parser: Reader,
    /// For each column `{"name":` or `,"name":`; empty until the header was read.
    keys: Vec<Vec<u8>>,
    fields: Vec<u8>,
    ends: Vec<usize>,
    field_bytes: usize,
    field_count: usize,
    row: Option<OpenRow>,
    longest: usize,
}

#[derive(Debug, Clone, Copy)]
struct OpenRow {
    line: u64,
    bytes: usize,
}

/// What a line did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// Nothing is complete: a blank line, the header, or the beginning of a row over several lines.
    Nothing,
    /// It completed the row that began on this line.
    Row(u64),
}

/// What is wrong with a row, and the line it begins on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl BadRow {
    fn new(line: u64, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), hint: None }
    }
}

impl CsvRows {
    /// Rows of up to `longest` bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self {
            // Lines are cut here, with `\r\n` handled at the end of a row only: inside quotes it belongs to the field.
            parser: ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build(),
            keys: Vec::new(),
            fields: vec![0; 4096],
            ends: vec![0; 64],
            field_bytes: 0,
            field_count: 0,
            row: None,
            longest,
        }
    }

    /// Whether the header has been read.
    pub(super) fn has_header(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Takes line number `line`, as it lies in the file.
    pub(super) fn feed(&mut self, line: u64, raw: &[u8]) -> Result<Fed, BadRow> {
        let raw = if line == 1 { without_mark(raw) } else { raw };
        if self.row.is_none() && content(raw).is_empty() {
            return Ok(Fed::Nothing);
        }
        let mut row = self.row.unwrap_or_else(|| {
            (self.field_bytes, self.field_count) = (0, 0);
            OpenRow { line, bytes: 0 }
        });
        row.bytes = row.bytes.saturating_add(raw.len());
        self.row = Some(row);
        if row.bytes > self.longest.saturating_add(2) {
            let what = format!("the row is longer than the {} bytes that a record may have", self.longest);
            return Err(BadRow {
                line: row.line,
                what,
                hint: Some("is a quote left open? otherwise: a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it".into()),
            });
        }
        let complete = match self.parse(raw) {
            Some(false) if !raw.ends_with(b"\n") => self.parse(b"\n"),
            parsed => parsed,
        };
        match complete {
            Some(true) => {}
            Some(false) => return Ok(Fed::Nothing),
            None => {
                let (found, expected) = (self.field_count - 1, self.keys.len());
                return Err(BadRow::new(
                    row.line,
                    format!("more than {found} fields in the row, {expected} in the header"),
                ));
            }
        }
        self.row = None;
        if raw.ends_with(b"\r\n") {
            self.cut_carriage_return();
        }
        if self.has_header() {
            return Ok(Fed::Row(row.line));
        }
        self.take_header(row.line)?;
        Ok(Fed::Nothing)
    }

    /// The file ends here.
    pub(super) fn end(&self) -> Result<(), BadRow> {
        match self.row {
            Some(row) => Err(BadRow::new(row.line, "the row opens a quote that is never closed")),
            None if !self.has_header() => Err(BadRow {
                line: 1,
                what: "the file is empty".into(),
                hint: Some("a CSV file begins with a header: the names of its columns".into()),
            }),
            None => Ok(()),
        }
    }

    /// Appends the row just completed, which began on `line`, as a JSON object.
    pub(super) fn write_row(&self, line: u64, out: &mut Vec<u8>) -> Result<(), BadRow> {
        if self.field_count != self.keys.len() {
            let (found, expected) = (self.field_count, self.keys.len());
            return Err(BadRow::new(line, format!("{found} fields in the row, {expected} in the header")));
        }
        for (number, (key, field)) in self.keys.iter().zip(self.row_fields()).enumerate() {
            out.extend_from_slice(key);
            write_json_string(field, out)
                .ok_or_else(|| BadRow::new(line, format!("field {} is not valid UTF-8", number + 1)))?;
        }
        out.push(b'}');
        Ok(())
    }

    /// Parses a piece of a row; whether it completed the row. `None`: it has more fields than the header.
    fn parse(&mut self, mut piece: &[u8]) -> Option<bool> {
        loop {
            let fields = self.fields.get_mut(self.field_bytes..).unwrap_or_default();
            let ends = self.ends.get_mut(self.field_count..).unwrap_or_default();
            let (result, read, written, ended) = self.parser.read_record(piece, fields, ends);
            piece = piece.get(read..).unwrap_or_default();
            self.field_bytes += written;
            self.field_count += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Some(false),
                ReadRecordResult::Record => return Some(true),
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.has_header() && self.field_count > self.keys.len() => {
                    return None;
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    fn take_header(&mut self, line: u64) -> Result<(), BadRow> {
        let mut names = HashSet::new();
        let mut keys = Vec::with_capacity(self.field_count);
        for (number, name) in self.row_fields().enumerate() {
            let mut key = vec![if number == 0 { b'{' } else { b',' }];
            write_json_string(name, &mut key)
                .ok_or_else(|| BadRow::new(line, format!("the name of column {} is not valid UTF-8", number + 1)))?;
            key.push(b':');
            keys.push(key);
            if name.is_empty() {
                return Err(BadRow::new(line, format!("column {} has no name", number + 1)));
            }
            if !names.insert(name) {
                return Err(BadRow::new(line, format!("two columns are called \"{}\"", String::from_utf8_lossy(name))));
            }
        }
        self.keys = keys;
        Ok(())
    }

    fn row_fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().take(self.field_count).map(move |&end| {
            let field = self.fields.get(start..end).unwrap_or_default();
            start = end;
            field
        })
    }

    /// Takes the `\r` of the row's `\r\n` back from the last field.
    fn cut_carriage_return(&mut self) {
        let Some(last) = self.field_count.checked_sub(1) else { return };
        let start = last.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        if let Some(end) = self.ends.get_mut(last)
            && self.fields.get(start..*end).is_some_and(|field| field.ends_with(b"\r"))
        {
            *end -= 1;
        }
    }
}

/// Appends text as a JSON string; `None` if it is not UTF-8.
fn write_json_string(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, std::str::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a file, each after its line, and how reading ended.
    fn read(text: &[u8]) -> (Vec<(u64, String)>, Result<(), BadRow>) {
        let mut rows = CsvRows::new(1000);
        let mut found = Vec::new();
        for (number, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
            match rows.feed(number as u64 + 1, line) {
                Ok(Fed::Nothing) => {}
                Ok(Fed::Row(at)) => {
                    let mut out = Vec::new();
                    if let Err(error) = rows.write_row(at, &mut out) {
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
        let cases: [(&str, &[(u64, &str)]); 9] = [
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
        let wide = format!("a\n{}\n", ",".repeat(900));
        let long = format!("a\n\"{}", "x\n".repeat(600));
        let cases: [(&[u8], u64, &str); 10] = [
            (b"", 1, "the file is empty"),
            (b"\n\n", 1, "the file is empty"),
            (b"a,b,a\n", 1, "two columns are called \"a\""),
            (b"a,,b\n", 1, "column 2 has no name"),
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
