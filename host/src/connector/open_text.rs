use std::io;
use std::time::Duration;

use memchr::memchr;

use super::csv_rows::{BadRow, CsvRows, Fed, OTHER_ENCODING, Spoils};
use super::input::Input;
use super::json_line::{JsonText, NotJson, check_json_line, is_blank};
use super::line_reader::{Line, LineError, LineReader, LookFor, content, is_mark, without_mark};
use super::places::PlaceKeeper;
use super::refusal::Refusal;
use super::stamps::{Stamp, Stamps};
use super::text_input::TextInput;
use super::{ConnectorError, Unreadable};
use crate::batch::{Batch, Origin, Record};
use crate::plan::{Format, TextSpec};

/// One text input being read.
///
/// An error with [`ConnectorError::unreadable`] leaves what it names behind: a record, and the next call goes on after it, or all that is left of the input, and the
/// next call is at its end.
pub(super) struct OpenText {
    lines: LineReader<TextInput>,
    format: Format,
    csv: CsvRows,
    stamps: Stamps,
    json: JsonText,
    /// The row being written: only whole rows enter the batch.
    row: Vec<u8>,
    /// What errors call it.
    path: String,
    /// What places call it.
    name: String,
    longest: usize,
    /// CSV: rows in a row whose quote was never closed.
    unclosed: u32,
    /// Nothing more is read.
    given_up: bool,
    notes: Vec<String>,
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

    #[inline]
    fn origin(&mut self, line: u64) -> Origin {
        let record = *self.next_record;
        self.places.note(record, line);
        *self.next_record = record + 1;
        Origin::new(self.source, record)
    }

    /// Adds the record that begins on `line`, which `write` appends.
    #[inline]
    fn push<R>(&mut self, line: u64, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let origin = self.origin(line);
        self.batch.push_payload_with(origin, write)
    }

    /// Adds the record that begins on `line`, with what else it has.
    fn push_stamped(&mut self, line: u64, payload: &[u8], stamp: &Stamp) {
        let origin = self.origin(line);
        let Stamp { timestamp, .. } = *stamp;
        // The records of one source have one shape.
        let _ = self.batch.push(Record { payload, key: stamp.key(), timestamp, headers: stamp.headers(), origin });
    }
}

/// What a record of a built-in source may weigh, in words.
const BOUND: &str =
    "a record of a built-in source is bounded by 4MiB and by object_store_memory of each stage that reads it";
/// The beginning of a line that is too long, as far as it is told on.
const TOLD: usize = 64 << 10;

impl OpenText {
    /// So many rows in a row whose quote is never closed, and the quotes of a file mean something else: each costs looking through as much as a
    /// row may have.
    const MOST_UNCLOSED: u32 = 16;

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
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.lines.input_mut().input_mut().set_patience(patience);
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
                    let head = without_mark(self.lines.too_long()).to_vec();
                    self.json.first(&head);
                    return self.check_whole_json(1);
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

    /// The first line of JSON was seen: is all the file one value, or is one written over several lines?
    fn check_whole_json(&mut self, number: u64) -> Result<(), ConnectorError> {
        let alone = match self.json.must_be_alone() {
            true => self.lines.only_blanks_left().map_err(|error| self.bad_line(error))?,
            false => Some(false),
        };
        match self.json.no_lines(alone == Some(true)) {
            Some((what, hint)) => Err(self.bad_file(Some(number), what, Some(hint.to_owned()))),
            None => Ok(()),
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
        match self.format {
            Format::Lines => self.fill_lines(room),
            Format::JsonLines => self.fill_json_lines(room),
            Format::Csv => self.fill_csv(room),
        }
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
                    if returns && self.notes.is_empty() && memchr(b'\r', line).is_some() {
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

    fn fill_json_lines(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        let charset = self.lines.input().must_be();
        while !room.is_full() {
            if let Some(number) = self.json.waiting() {
                // The first line, which might be all there is.
                match self.lines.only_blanks_left().map_err(|error| self.bad_line(error))? {
                    None => return Ok(Stopped::Pending),
                    Some(alone) => {
                        if let Some((what, hint)) = self.json.no_lines(alone) {
                            return Err(self.bad_file(Some(number), what, Some(hint.to_owned())));
                        }
                        self.json.go_on();
                        self.push_json(room, number)?;
                        continue;
                    }
                }
            }
            match self.lines.next_and_returns() {
                Ok((Line::Found(number, raw), returns)) => {
                    let line = content(without_mark(raw));
                    if is_blank(line) {
                        continue;
                    }
                    if self.json.is_new() {
                        self.json.first(line);
                        if self.json.must_be_alone() {
                            self.row.clear();
                            self.row.extend_from_slice(line);
                            self.json.wait(number);
                            continue;
                        }
                        if let Some((what, hint)) = self.json.no_lines(false) {
                            return Err(self.bad_file(Some(number), what, Some(hint.to_owned())));
                        }
                    }
                    let inside = if returns { memchr(b'\r', line) } else { None };
                    if let Err((column, why, hint)) = json_line(line, inside, charset) {
                        let what = format!("{}:{number}:{column}: {why}", self.path);
                        return Err(bad_record(what, &self.name, number, line).hint(hint));
                    }
                    if self.stamps.are_none() {
                        room.push(number, |out| out.extend_from_slice(line));
                    } else {
                        push_stamped(&mut self.stamps, room, (&self.path, &self.name, self.longest), number, line)?;
                    }
                }
                Ok((Line::Pending, _)) => return Ok(Stopped::Pending),
                Ok((Line::End, _)) => return Ok(Stopped::End),
                Err(LineError::TooLong) if self.json.is_new() => {
                    let head = without_mark(self.lines.too_long()).to_vec();
                    self.json.first(&head);
                    if let Some((what, hint)) = self.json.no_lines(true) {
                        return Err(self.bad_file(Some(1), what, Some(hint.to_owned())));
                    }
                    return Err(self.bad_line(LineError::TooLong));
                }
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    /// The first line, which waited in `row`.
    fn push_json(&mut self, room: &mut Room<'_>, number: u64) -> Result<(), ConnectorError> {
        let line = self.row.as_slice();
        let inside = memchr(b'\r', line);
        if let Err((column, why, hint)) = json_line(line, inside, self.lines.input().must_be()) {
            let what = format!("{}:{number}:{column}: {why}", self.path);
            return Err(bad_record(what, &self.name, number, line).hint(hint));
        }
        if self.stamps.are_none() {
            room.push(number, |out| out.extend_from_slice(line));
            return Ok(());
        }
        push_stamped(&mut self.stamps, room, (&self.path, &self.name, self.longest), number, line)
    }

    fn fill_csv(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        while !room.is_full() {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) => match self.csv.feed(number, raw) {
                    Ok(Fed::Nothing) => {}
                    Ok(Fed::Open) => self.lines.keep(),
                    Ok(Fed::Row(line)) => {
                        if let Err(bad) = self.push_row(room, line) {
                            return Err(self.bad_row(bad));
                        }
                        self.unclosed = 0;
                        self.lines.forget();
                    }
                    Err(bad) => {
                        self.lines.keep();
                        return Err(self.bad_row(bad));
                    }
                },
                Ok(Line::Pending) => return Ok(Stopped::Pending),
                Ok(Line::End) => {
                    return match self.csv.end() {
                        Ok(()) => Ok(Stopped::End),
                        Err(bad) => Err(self.bad_row(bad)),
                    };
                }
                Err(LineError::TooLong) => {
                    let Some(line) = self.csv.give_up() else { return Err(self.bad_line(LineError::TooLong)) };
                    let what = format!("the row is longer than the {} bytes that a record may have", self.longest);
                    let spoils = if self.csv.columns().header_is_due() { Spoils::File } else { Spoils::FirstLine };
                    let bad = BadRow::new(line, what).spoils(spoils);
                    return Err(self.bad_row(bad.hint(format!("is a quote left open? otherwise: {BOUND}"))));
                }
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    /// The row just completed, which began on `line`.
    fn push_row(&mut self, room: &mut Room<'_>, line: u64) -> Result<(), BadRow> {
        self.row.clear();
        let charset = self.lines.input().must_be().unwrap_or("UTF-8");
        self.csv.write_row(line, charset, &mut self.row)?;
        let mut bytes = self.row.len();
        let stamp = if self.stamps.are_none() {
            None
        } else {
            let stamped = self.csv.columns().stamped().clone();
            let stamp = self.stamps.of_row(&self.csv, &stamped).map_err(|what| BadRow::new(line, what))?;
            bytes += stamp.len();
            Some(stamp)
        };
        if bytes > self.longest {
            let what = format!("the row as JSON has {bytes} bytes, a record may have {}", self.longest);
            return Err(BadRow::new(line, what).hint(BOUND));
        }
        match stamp {
            None => room.push(line, |out| out.extend_from_slice(&self.row)),
            Some(stamp) => room.push_stamped(line, &self.row, stamp),
        }
        Ok(())
    }

    fn bad_line(&mut self, error: LineError) -> ConnectorError {
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
                bad_record(what, &self.name, line, self.lines.too_long()).hint(BOUND)
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

    fn bad_row(&mut self, bad: BadRow) -> ConnectorError {
        let BadRow { line, what, hint, mut spoils } = bad;
        if spoils == Spoils::FirstLine {
            self.unclosed += 1;
            if self.unclosed > Self::MOST_UNCLOSED {
                spoils = Spoils::File;
            }
        }
        let what_at = format!("{}:{line}: {what}", self.path);
        let error = match spoils {
            Spoils::File => self.bad_file(Some(line), what, None),
            Spoils::Row => {
                // The row is what was kept, or, on one line, that line.
                self.lines.keep();
                let error = bad_record(what_at, &self.name, line, self.lines.kept());
                self.lines.forget();
                error
            }
            Spoils::FirstLine => {
                let first = self.lines.back_behind_first().unwrap_or_default();
                bad_record(what_at, &self.name, line, first)
            }
        };
        ConnectorError { hint, ..error }
    }

    /// Nothing more of it can be read, from line number `line` on where that is known.
    fn bad_file(&mut self, line: Option<u64>, what: impl Into<String>, hint: Option<String>) -> ConnectorError {
        self.given_up = true;
        let what = what.into();
        let what = match line {
            Some(line) => format!("{}:{line}: {what}", self.path),
            None => format!("{}: {what}", self.path),
        };
        ConnectorError { hint, ..ConnectorError::new(what).leaving_behind(Unreadable::rest_of(&self.name)) }
    }
}

/// A record that is left behind; of its bytes as much is told on as a person reads.
fn bad_record(what: String, name: &str, line: u64, bytes: &[u8]) -> ConnectorError {
    let told = content(bytes.get(..bytes.len().min(TOLD)).unwrap_or_default());
    ConnectorError::new(what).leaving_behind(Unreadable::record(format!("{name}:{line}"), told))
}

/// Why a line is no record: the byte, what is wrong with it, and what to do.
type BadJson = (usize, String, &'static str);

fn json_line(line: &[u8], carriage_return: Option<usize>, charset: Option<&str>) -> Result<(), BadJson> {
    if let Some(at) = carriage_return {
        let why = "a carriage return (CR) stands inside the line".to_owned();
        return Err((at + 1, why, "where CR ends lines: line_end = \"any\""));
    }
    check_json_line(line).map_err(|bad| match (bad, charset) {
        (NotJson::Utf8 { column }, None) => (column, "not JSON: not valid UTF-8".to_owned(), OTHER_ENCODING),
        (NotJson::Utf8 { column }, Some(charset)) => {
            (column, format!("not valid {charset}"), "with format = \"lines\" the operator gets every line as it is")
        }
        (NotJson::Shape { column, why }, _) => {
            (column, format!("not JSON: {why}"), "with format = \"lines\" the operator gets every line as it is")
        }
    })
}

fn push_stamped(
    stamps: &mut Stamps,
    room: &mut Room<'_>,
    (path, name, longest): (&str, &str, usize),
    number: u64,
    line: &[u8],
) -> Result<(), ConnectorError> {
    let bad = |what: String| bad_record(format!("{path}:{number}: {what}"), name, number, line);
    let stamp = stamps.of_json(line).map_err(bad)?;
    let bytes = line.len() + stamp.len();
    if bytes > longest {
        let what = format!("the record has {bytes} bytes with its key and headers, it may have {longest}");
        return Err(bad(what).hint(BOUND));
    }
    room.push_stamped(number, line, stamp);
    Ok(())
}
