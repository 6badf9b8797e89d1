use std::io;
use std::time::Duration;

use super::ConnectorError;
use super::csv_rows::{BadRow, CsvRows, Fed};
use super::input::Input;
use super::json_line::{NotJson, check_json_line, is_blank};
use super::line_reader::{Line, LineError, LineReader, content, without_mark};
use super::places::PlaceKeeper;
use crate::batch::{Batch, Origin};
use crate::plan::Format;

/// One text input being read.
pub(super) struct OpenText {
    lines: LineReader<Input>,
    format: Format,
    csv: CsvRows,
    /// The row being written: only whole rows enter the batch.
    row: Vec<u8>,
    path: String,
    longest: usize,
}

/// Where records go, and how many fit.
pub(super) struct Room<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) source: u16,
    pub(super) next_record: &'a mut u64,
    pub(super) places: &'a mut PlaceKeeper,
    pub(super) max_records: usize,
    pub(super) max_bytes: usize,
}

/// Why an input stopped giving records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The batch has what was asked for.
    Full,
    /// There is nothing to read at present.
    Pending,
    /// It is done.
    End,
}

impl Room<'_> {
    #[inline]
    fn is_full(&self) -> bool {
        self.batch.len() >= self.max_records || self.batch.payloads().byte_len() >= self.max_bytes
    }

    /// Adds the record that begins on `line`, which `write` appends.
    #[inline]
    fn push<R>(&mut self, line: u64, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let record = *self.next_record;
        self.places.note(record, line);
        *self.next_record = record + 1;
        self.batch.push_payload_with(Origin::new(self.source, record), write)
    }
}

impl OpenText {
    /// `path` is what errors call it; no record is longer than `longest` bytes.
    pub(super) fn new(input: Input, path: String, format: Format, longest: usize) -> Self {
        Self {
            lines: LineReader::new(input, longest),
            format,
            csv: CsvRows::new(longest),
            row: Vec::new(),
            path,
            longest,
        }
    }

    /// How many bytes there are, packed, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.lines.input().size()
    }

    /// How many bytes were read, packed.
    pub(super) fn consumed(&self) -> u64 {
        self.lines.input().consumed()
    }

    /// How long a read may wait, where it waits at all.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.lines.input_mut().set_patience(patience);
    }

    /// Reads the header of a CSV file and the first line of any other, and so finds out early what cannot be read. Returns the size.
    pub(super) fn check(mut self) -> Result<Option<u64>, ConnectorError> {
        loop {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) if self.format == Format::Csv => {
                    self.csv.feed(number, raw).map_err(|bad| bad_row(&self.path, bad))?;
                }
                Ok(Line::End) if self.format == Format::Csv => {
                    self.csv.end().map_err(|bad| bad_row(&self.path, bad))?
                }
                Ok(_) => break,
                Err(error) => return Err(self.bad_line(error)),
            }
            if self.csv.has_header() {
                break;
            }
        }
        Ok(self.size())
    }

    /// Moves records into the batch until one of the two stops.
    pub(super) fn fill(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        match self.format {
            Format::Lines => self.fill_lines(room),
            Format::JsonLines => self.fill_json_lines(room),
            Format::Csv => self.fill_csv(room),
        }
    }

    fn fill_lines(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        while !room.is_full() {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) => room.push(number, |out| out.extend_from_slice(content(raw))),
                Ok(Line::Pending) => return Ok(Stopped::Pending),
                Ok(Line::End) => return Ok(Stopped::End),
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    fn fill_json_lines(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        while !room.is_full() {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) => {
                    let line = content(if number == 1 { without_mark(raw) } else { raw });
                    if is_blank(line) {
                        continue;
                    }
                    check_json_line(line).map_err(|not_json| {
                        let NotJson { column, why } = not_json;
                        ConnectorError::new(format!("{}:{number}:{column}: not JSON: {why}", self.path))
                            .hint("with format = \"lines\" the operator gets every line as it is")
                    })?;
                    room.push(number, |out| out.extend_from_slice(line));
                }
                Ok(Line::Pending) => return Ok(Stopped::Pending),
                Ok(Line::End) => return Ok(Stopped::End),
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    fn fill_csv(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        while !room.is_full() {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) => {
                    let fed = self.csv.feed(number, raw).map_err(|bad| bad_row(&self.path, bad))?;
                    let Fed::Row(line) = fed else { continue };
                    self.row.clear();
                    self.csv.write_row(line, &mut self.row).map_err(|bad| bad_row(&self.path, bad))?;
                    if self.row.len() > self.longest {
                        let (bytes, most) = (self.row.len(), self.longest);
                        let what = format!(
                            "{}:{line}: the row as JSON has {bytes} bytes, a record may have {most}",
                            self.path
                        );
                        return Err(ConnectorError::new(what).hint("a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it"));
                    }
                    room.push(line, |out| out.extend_from_slice(&self.row));
                }
                Ok(Line::Pending) => return Ok(Stopped::Pending),
                Ok(Line::End) => {
                    self.csv.end().map_err(|bad| bad_row(&self.path, bad))?;
                    return Ok(Stopped::End);
                }
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    fn bad_line(&self, error: LineError) -> ConnectorError {
        let (path, line) = (&self.path, self.lines.line());
        match error {
            LineError::TooLong => {
                let what =
                    format!("{path}:{line}: the line is longer than the {} bytes that a record may have", self.longest);
                ConnectorError::new(what).hint("a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it")
            }
            LineError::Read(cause) => {
                let unpacking = matches!(
                    cause.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                );
                let error = ConnectorError::caused(format!("{path}: cannot read on after line {line}"), cause);
                if unpacking { error.hint("is it gzip, and is it complete? see compression") } else { error }
            }
        }
    }
}

fn bad_row(path: &str, bad: BadRow) -> ConnectorError {
    let BadRow { line, what, hint } = bad;
    ConnectorError { what: format!("{path}:{line}: {what}"), hint, cause: None }
}
