use std::io;
use std::time::Duration;

use memchr::memchr;

use super::csv_rows::{CsvRows, Spoils};
use super::input::Input;
use super::json_line::{JsonText, is_blank};
use super::line_reader::{Line, LineError, LineReader, LookFor, content, is_mark, without_mark};
use super::refusal::Refusal;
use super::room::{Room, Stopped};
use super::stamps::Stamps;
use super::text_input::TextInput;
use super::{ConnectorError, Unreadable};
use sage_plan::{Format, TextSpec};

/// One text input being read.
///
/// An error with [`ConnectorError::unreadable`] leaves what it names behind: a record, and the next call goes on after it, or all that is left of the input, and the
/// next call is at its end.
pub(super) struct OpenText {
    pub(super) lines: LineReader<TextInput>,
    format: Format,
    pub(super) csv: CsvRows,
    pub(super) stamps: Stamps,
    pub(super) json: JsonText,
    /// The row being written: only whole rows enter the batch.
    pub(super) row: Vec<u8>,
    /// What errors call it.
    pub(super) path: String,
    /// What places call it.
    pub(super) name: String,
    pub(super) longest: usize,
    /// CSV: rows in a row whose quote was never closed.
    pub(super) unclosed: u32,
    /// Nothing more is read.
    given_up: bool,
    /// Lines: a CR inside one was told of.
    has_returns: bool,
    notes: Vec<String>,
}

/// What a record of a built-in source may weigh, in words.
pub(super) const BOUND: &str =
    "a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it";
/// The beginning of a line that is too long to be kept, as far as it is told on.
const TOLD: usize = 64 << 10;

impl OpenText {
    /// `path` is what errors call it, `name` what places do; no record is longer than `longest` bytes.
    pub(super) fn new(input: Input, path: String, name: String, spec: &TextSpec, longest: usize) -> Self {
        // Where it is an error, every one is looked for; where it is worth a word, the beginning will do.
        let returns = if spec.format == Format::JsonLines { LookFor::All } else { LookFor::First };
        Self {
            lines: LineReader::new(TextInput::new(input, spec.encoding), longest, spec.line_end, returns),
            format: spec.format,
            csv: CsvRows::new(&spec.csv, &spec.stamps, longest),
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

    /// How many bytes there are, packed, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.lines.input().input().size()
    }

    /// How many bytes were read, packed.
    pub(super) fn consumed(&self) -> u64 {
        self.lines.input().input().consumed()
    }

    /// How long a read may wait, where it waits at all.
    pub(super) fn set_patience(&mut self, timeout: Duration) {
        self.lines.input_mut().input_mut().set_patience(timeout);
    }

    /// What somebody should know of it, with its name.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        let header = self.csv.columns().take_notes();
        let notes = header.into_iter().chain(std::mem::take(&mut self.notes));
        notes.map(|note| format!("{}: {note}", self.path)).collect()
    }

    /// Reads the header of a CSV file and the first line of any other, and so finds out early what cannot be read.
    pub(super) fn check(&mut self) -> Result<(), ConnectorError> {
        self.lines.input_mut().begin().map_err(|error| self.bad_line(LineError::Read(error)))?;
        loop {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) if self.format == Format::Csv => {
                    if let Err(bad) = self.csv.feed(number, raw) {
                        // A row is seen to when its turn comes.
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
                // Nor is a line that is too long a reason not to begin, unless it is the header.
                Err(LineError::TooLong) if self.format != Format::Csv => return Ok(()),
                Err(error) => return Err(self.bad_line(error)),
            }
            if self.csv.columns().are_known() {
                return Ok(());
            }
        }
    }

    /// Moves records into the batch until one of the two stops.
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
                "it had {size} bytes when it was opened, and {read} were read: it grows, and its last line may be half of one"
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
                        self.notes.push(format!("line {number} has carriage returns (CR) in it, which stay there: line_end = \"any\" makes them line ends"));
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

    /// Nothing more of it can be read, from line number `line` on where that is known.
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

/// A record that is left behind, and its bytes.
pub(super) fn bad_record(what: String, name: &str, line: u64, bytes: &[u8]) -> ConnectorError {
    ConnectorError::new(what).leaving_behind(Unreadable::record(format!("{name}:{line}"), content(bytes)))
}
