use std::fs::File;
use std::io;
use std::sync::Arc;

use memchr::memchr;

use super::counted::Counted;
use super::csv_bad_row::Spoils;
use super::csv_rows::CsvRows;
use super::input::Input;
use super::json_line::{JsonText, is_blank};
use super::line_reader::{Line, LineError, LinePosition, LineReader, LookFor, content, is_mark, without_mark};
use super::refusal::Refusal;
use super::room::{Room, Stopped};
use super::stamps::Stamps;
use super::text_input::TextInput;
use super::{ConnectorError, Unreadable};
use sage_plan::{Format, TextEncoding, TextSpec};

/// A text input that is being read.
///
/// After an error with [`ConnectorError::unreadable`], reading continues after the unreadable part. If that
/// part is a record, the next call continues after it; if it is the rest of the input, the next call is at the
/// end.
pub(super) struct OpenText {
    pub(super) lines: LineReader<TextInput>,
    format: Format,
    encoding: TextEncoding,
    pub(super) csv: CsvRows,
    pub(super) stamps: Stamps,
    pub(super) json: JsonText,
    /// The row that is being written. Only whole rows enter the batch.
    pub(super) row: Vec<u8>,
    /// Name of the input in errors.
    pub(super) path: String,
    /// Name of the input in places.
    pub(super) name: String,
    pub(super) longest: usize,
    /// CSV: number of consecutive rows whose quote was never closed.
    pub(super) unclosed: u32,
    /// Whether reading has stopped for good.
    given_up: bool,
    /// Lines: whether a CR inside a line has been reported.
    has_returns: bool,
    notes: Vec<String>,
}

/// The hint about the largest record of a built-in source.
pub(super) const BOUND: &str =
    "a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it";
/// Bytes of a too long line that are passed on, from its beginning.
const TOLD: usize = 64 << 10;

impl OpenText {
    /// `path` is the name in errors, `name` the name in places; no record is longer than `longest` bytes.
    pub(super) fn new(input: Input, path: String, name: String, spec: &TextSpec, longest: usize) -> Self {
        // In JSON lines a CR is an error, so every line is searched. In other formats it is only a note, so the
        // first 256 KiB are enough.
        let returns = if spec.format == Format::JsonLines { LookFor::All } else { LookFor::First };
        Self {
            lines: LineReader::new(TextInput::new(input, spec.encoding), longest, spec.line_end, returns),
            format: spec.format,
            encoding: spec.encoding,
            csv: CsvRows::new(spec, longest),
            stamps: Stamps::new(&spec.stamps),
            json: JsonText::default(),
            row: Vec::new(),
            path,
            name,
            longest,
            unclosed: 0,
            given_up: false,
            has_returns: false,
            notes: Vec::new(),
        }
    }

    /// Number of bytes before decompression, if known.
    pub(super) fn size(&self) -> Option<u64> {
        self.lines.input().input().size()
    }

    /// Number of bytes read so far, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        self.lines.input().input().consumed()
    }

    /// The file, if reads may find no input.
    pub(super) fn awaited(&self) -> Option<&Arc<File>> {
        self.lines.input().input().awaited()
    }

    /// The place behind the records given so far. `None` unless the text is plain, so that a later run can begin there.
    pub(super) fn position(&self) -> Option<LinePosition> {
        let input = self.lines.input();
        if self.json.waiting().is_some() {
            return Some(LinePosition::default());
        }
        // Before the first bytes were looked at, nothing was given.
        let position = self.lines.position();
        let is_plain = input.is_as_it_is() && input.input().is_plain();
        (is_plain || position.bytes == 0).then_some(position)
    }

    /// Goes on at a place where an earlier run was, with the file at that place. The columns must be known.
    pub(super) fn go_on(&mut self, input: Counted, at: LinePosition) {
        let input = Input::behind_the_beginning(input);
        self.lines.go_on(TextInput::behind_the_beginning(input, self.encoding), at);
        self.json.go_on();
    }

    /// More will be appended: the first line of JSON does not wait until it is known whether it is the only one.
    pub(super) fn follows(&mut self) {
        self.json.go_on();
    }

    /// Refuses text whose bytes are not those of the file, so that a later run could not begin in its middle. Nothing is
    /// known of an input without bytes.
    pub(super) fn require_plain(&mut self) -> Result<(), ConnectorError> {
        let is_plain = |input: &TextInput| input.is_as_it_is() && input.input().is_plain();
        if self.given_up || is_plain(self.lines.input()) {
            return Ok(());
        }
        let begun = self.lines.input_mut().begin();
        let input = self.lines.input();
        match begun {
            Ok(()) if is_plain(input) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !input.input().is_packed() => Ok(()),
            Err(error) if !input.input().is_packed() => Err(self.bad_line(LineError::Read(error))),
            _ => {
                let hint = "leave follow out for packed files and for other encodings".to_owned();
                Err(self.bad_file(None, "a source that follows reads plain text in UTF-8", Some(hint)))
            }
        }
    }

    /// csv: reads up to the names of the columns, before [`OpenText::go_on`].
    pub(super) fn find_columns(&mut self) -> Result<(), ConnectorError> {
        if self.format == Format::Csv && !self.csv.columns().are_known() { self.check() } else { Ok(()) }
    }

    /// Whether reading has stopped for good.
    pub(super) fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// The notes for the user about this input, each with its name.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        let header = self.csv.columns().take_notes();
        let notes = header.into_iter().chain(std::mem::take(&mut self.notes));
        notes.map(|note| format!("{}: {note}", self.path)).collect()
    }

    /// Reads the header of a CSV file, or the first line of another format, to find errors early.
    pub(super) fn check(&mut self) -> Result<(), ConnectorError> {
        self.lines.input_mut().begin().map_err(|error| self.bad_line(LineError::Read(error)))?;
        loop {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) if self.format == Format::Csv => {
                    if let Err(bad) = self.csv.feed(number, raw) {
                        // A bad row is reported when it is read.
                        return if bad.spoils == Spoils::File { Err(self.bad_row(bad)) } else { Ok(()) };
                    }
                }
                Ok(Line::Found(number, raw)) if self.format == Format::JsonLines => {
                    let line = content(without_mark(raw));
                    if !is_blank(line) {
                        self.json.first(line);
                        return self.check_whole_json(number);
                    }
                }
                Ok(Line::End) if self.format == Format::Csv => return self.csv.end().map_err(|bad| self.bad_row(bad)),
                Ok(_) => return Ok(()),
                Err(LineError::TooLong) if self.format == Format::JsonLines && self.json.is_new() => {
                    self.json.beginning(without_mark(self.lines.too_long()));
                    return self.check_whole_json(self.lines.line());
                }
                // A line that is too long does not prevent the start either, unless it is the header.
                Err(LineError::TooLong) if self.format != Format::Csv => return Ok(()),
                Err(error) => return Err(self.bad_line(error)),
            }
            if self.csv.columns().are_known() {
                return Ok(());
            }
        }
    }

    /// Moves records into the batch until the batch is full or the input stops.
    pub(super) fn fill(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        if self.given_up {
            return Ok(Stopped::End);
        }
        match self.lines.input_mut().begin() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Stopped::Pending),
            Err(error) => return Err(self.bad_line(LineError::Read(error))),
        }
        let stopped = match self.format {
            Format::Lines => self.fill_lines(room),
            Format::JsonLines => self.fill_json_lines(room),
            Format::Csv => self.fill_csv(room),
        }?;
        if let (Stopped::End, Some(size)) = (stopped, self.size())
            && self.consumed() > size
            && size > 0
        {
            let read = self.consumed();
            self.notes.push(format!(
                "it had {size} bytes when it was opened, and {read} were read: \
                 it grows, and its last line may be half of one"
            ));
        }
        Ok(stopped)
    }

    fn fill_lines(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        let charset = self.lines.input().must_be();
        while !room.is_full() {
            match self.lines.next_and_returns() {
                Ok((Line::Found(number, raw), returns)) => {
                    let line = content(without_mark(raw));
                    if line.is_empty() && is_mark(raw) {
                        continue;
                    }
                    if returns && !self.has_returns && memchr(b'\r', line).is_some() {
                        self.has_returns = true;
                        self.notes.push(format!(
                            "line {number} has carriage returns (CR) in it, which stay there: \
                             line_end = \"any\" makes them line ends"
                        ));
                    }
                    if let Some(charset) = charset
                        && let Err(error) = std::str::from_utf8(line)
                    {
                        let at = error.valid_up_to() + 1;
                        let what = format!("{}:{number}:{at}: not valid {charset}", self.path);
                        return Err(bad_record(what, &self.name, number, line));
                    }
                    room.push(number, |out| out.extend_from_slice(line));
                }
                Ok((Line::Pending, _)) => return Ok(Stopped::Pending),
                Ok((Line::End, _)) => return Ok(Stopped::End),
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    pub(super) fn bad_line(&mut self, error: LineError) -> ConnectorError {
        let line = self.lines.line();
        match error {
            LineError::TooLong if self.format == Format::Csv && self.csv.columns().header_is_due() => {
                let what = format!("the line is longer than the {} bytes that a record may have", self.longest);
                self.bad_file(Some(line), what, Some(BOUND.to_owned()))
            }
            LineError::TooLong => {
                let what = format!(
                    "{}:{line}: the line is longer than the {} bytes that a record may have",
                    self.path, self.longest
                );
                let bytes = self.lines.too_long();
                bad_record(what, &self.name, line, bytes.get(..TOLD).unwrap_or(bytes)).hint(BOUND)
            }
            LineError::Read(cause) => {
                if let Some(refusal) = Refusal::of(&cause) {
                    let (what, hint) = (refusal.what.clone(), refusal.hint.clone());
                    return self.bad_file(None, what, hint);
                }
                let unpacking = matches!(
                    cause.kind(),
                    io::ErrorKind::InvalidInput
                        | io::ErrorKind::InvalidData
                        | io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::Other
                );
                let hint = unpacking.then(|| "it is packed: is it complete? gzip -t or zstd -t says".to_owned());
                let error = self.bad_file(None, format!("cannot read on after line {line}"), hint);
                ConnectorError { cause: Some(cause), ..error }
            }
        }
    }

    /// Gives up the rest of the input, from line number `line` on if it is known, and returns the error.
    pub(super) fn bad_file(
        &mut self,
        line: Option<u64>,
        what: impl Into<String>,
        hint: Option<String>,
    ) -> ConnectorError {
        self.given_up = true;
        let what = what.into();
        let what = match line {
            Some(line) => format!("{}:{line}: {what}", self.path),
            None => format!("{}: {what}", self.path),
        };
        ConnectorError { hint, ..ConnectorError::new(what).leaving_behind(Unreadable::rest_of(&self.name)) }
    }
}

/// The error for a record that is skipped, with its bytes.
pub(super) fn bad_record(what: String, name: &str, line: u64, bytes: &[u8]) -> ConnectorError {
    ConnectorError::new(what).leaving_behind(Unreadable::record(format!("{name}:{line}"), content(bytes)))
}
