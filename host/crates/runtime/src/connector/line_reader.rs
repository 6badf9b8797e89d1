use std::io::{self, Read};

use memchr::{memchr, memchr2};
use serde::{Deserialize, Serialize};

use sage_plan::LineEnd;

/// Splits bytes into lines, in a buffer that a line longer than the limit cannot enlarge.
///
/// The reader reads 256 KiB at a time and finds line ends with vector instructions. A 136-byte line costs about
/// 20 ns from memory, the copy into the batch included.
///
/// LF and CRLF end a line. If the text has no LF within the longest allowed line, or none at all, but has a CR,
/// its lines end with CR: from there on CR, LF and CRLF each end a line. With [`LineEnd::Any`] they do so from
/// the start.
///
/// After the error that a line is too long, the next call returns the line after it. The bytes of the long line
/// are not kept.
pub(super) struct LineReader<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    end: usize,
    at_end: bool,
    line: u64,
    longest: usize,
    ends: Ends,
    overlong: Overlong,
    /// Position in the buffer of the line that was found last.
    last: usize,
    kept: Option<Kept>,
    has_returns: bool,
    looks_for_returns: LookFor,
    /// Bytes of the input that are no longer in the buffer.
    passed: u64,
}

/// A place between two lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinePosition {
    /// Bytes before it.
    pub(super) bytes: u64,
    /// Lines before it.
    pub(super) lines: u64,
    /// Whether it is inside a line that is too long: what follows up to the line end is no line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) in_long_line: bool,
    /// Whether CR ends lines too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) any_end: bool,
}

/// The part of the text in which CRs inside lines are looked for and [reported](LineReader::next_and_returns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookFor {
    /// Every line.
    All,
    /// The first 256 KiB.
    First,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// No line has been found yet.
    Unknown,
    Lf,
    Any,
}

/// A line longer than the limit that has not been skipped yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overlong {
    No,
    /// The line ends at this position.
    Until(usize),
    /// The end of the line has not been read yet.
    On,
}

/// The next item, with its position in the buffer.
enum Step {
    Found(usize, usize),
    Pending,
    End,
}

/// Lines that stay in the buffer.
#[derive(Debug, Clone, Copy)]
struct Kept {
    begin: usize,
    first_ends: usize,
    line: u64,
}

/// The result of [`LineReader::next`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Number of the line, from 1, and the line with its line end, if it has one.
    Found(u64, &'a [u8]),
    /// The input has no bytes at present.
    Pending,
    /// There are no more lines.
    End,
}

/// The reason why there is no next line.
#[derive(Debug)]
pub(super) enum LineError {
    /// The input could not be read.
    Read(io::Error),
    /// The line is longer than the limit.
    TooLong,
}

impl<R: Read> LineReader<R> {
    /// Bytes of one read. Smaller reads make system calls visible in the profile; with larger ones the buffer
    /// does not fit the cache.
    const CHUNK: usize = 256 << 10;

    /// Reads lines of up to `longest` bytes from `input`, line ends not counted.
    pub(super) fn new(input: R, longest: usize, line_end: LineEnd, looks_for_returns: LookFor) -> Self {
        let ends = if line_end == LineEnd::Any { Ends::Any } else { Ends::Unknown };
        Self {
            input,
            buffer: vec![0; Self::CHUNK],
            start: 0,
            scanned: 0,
            end: 0,
            at_end: false,
            line: 0,
            longest,
            ends,
            overlong: Overlong::No,
            last: 0,
            kept: None,
            has_returns: false,
            looks_for_returns,
            passed: 0,
        }
    }

    /// Goes on at a place of this reader's input with another input, which begins there.
    pub(super) fn go_on(&mut self, input: R, at: LinePosition) {
        self.input = input;
        (self.start, self.scanned, self.end, self.last) = (0, 0, 0, 0);
        (self.at_end, self.kept, self.has_returns) = (false, None, false);
        (self.passed, self.line) = (at.bytes, at.lines);
        self.overlong = if at.in_long_line { Overlong::On } else { Overlong::No };
        if at.lines > 0 {
            self.ends = if at.any_end { Ends::Any } else { Ends::Lf };
        }
    }

    /// The place behind the last line, or before the kept lines if some are kept.
    pub(super) fn position(&self) -> LinePosition {
        let (at, lines, in_long_line) = match (self.kept, self.overlong) {
            (Some(kept), _) => (kept.begin, kept.line - 1, false),
            (None, Overlong::No) => (self.start, self.line, false),
            (None, Overlong::Until(end)) => (end, self.line, false),
            (None, Overlong::On) => (self.scanned, self.line, true),
        };
        let any_end = self.ends == Ends::Any;
        LinePosition { bytes: self.passed + at as u64, lines, in_long_line, any_end }
    }

    /// The input.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// The input, for setting its timeout.
    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The number, from 1, of the line that `next` last found or failed at.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The part of the too long line that was read, from its beginning. Valid until the next call of `next`.
    pub(super) fn too_long(&self) -> &[u8] {
        let end = match self.overlong {
            Overlong::Until(end) => end,
            Overlong::On | Overlong::No => self.end,
        };
        self.buffer.get(self.start..end).unwrap_or_default()
    }

    /// Keeps the line found last and all later lines, so that the reader can go back.
    pub(super) fn keep(&mut self) {
        if self.kept.is_none() {
            self.kept = Some(Kept { begin: self.last, first_ends: self.start, line: self.line });
        }
    }

    /// The kept lines, up to the one found last; empty if none are kept.
    pub(super) fn kept(&self) -> &[u8] {
        self.kept.and_then(|kept| self.buffer.get(kept.begin..self.start)).unwrap_or_default()
    }

    /// Stops keeping lines.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// Goes back to the position after the first kept line, and returns that line; `None` if none are kept.
    pub(super) fn back_behind_first(&mut self) -> Option<&[u8]> {
        let Kept { begin, first_ends, line } = self.kept.take()?;
        self.overlong = Overlong::No;
        (self.start, self.scanned, self.line) = (first_ends, first_ends, line);
        self.buffer.get(begin..first_ends)
    }

    /// Whether only white space is left; `None` while that is not known. Consumes nothing.
    pub(super) fn only_blanks_left(&mut self) -> Result<Option<bool>, LineError> {
        loop {
            let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
            if !rest.iter().all(u8::is_ascii_whitespace) || rest.len() > self.longest {
                return Ok(Some(false));
            }
            if self.at_end {
                return Ok(Some(true));
            }
            if !self.read_more()? {
                return Ok(None);
            }
        }
    }

    /// The next line.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Line<'_>, LineError> {
        Ok(match self.advance()? {
            Step::Found(start, end) => Line::Found(self.line, self.buffer.get(start..end).unwrap_or_default()),
            Step::Pending => Line::Pending,
            Step::End => Line::End,
        })
    }

    /// The next line, and whether the line may contain a CR that ends no line.
    #[inline]
    pub(super) fn next_and_returns(&mut self) -> Result<(Line<'_>, bool), LineError> {
        let step = self.advance()?;
        let returns = self.has_returns && self.ends != Ends::Any;
        let line = match step {
            Step::Found(start, end) => Line::Found(self.line, self.buffer.get(start..end).unwrap_or_default()),
            Step::Pending => Line::Pending,
            Step::End => Line::End,
        };
        Ok((line, returns))
    }

    #[inline]
    fn advance(&mut self) -> Result<Step, LineError> {
        // The usual case: LF ends lines in this file, and one is in the buffer.
        if self.ends == Ends::Lf && self.overlong == Overlong::No {
            let (start, scanned) = (self.start, self.scanned);
            let unseen = self.buffer.get(scanned..self.end).unwrap_or_default();
            let at = match self.looks_for_returns {
                LookFor::First => memchr(b'\n', unseen),
                LookFor::All => find_lf(unseen, &mut self.has_returns),
            };
            if let Some(at) = at {
                let end = scanned + at + 1;
                if end - start <= self.longest {
                    self.line += 1;
                    (self.last, self.start, self.scanned) = (start, end, end);
                    return Ok(Step::Found(start, end));
                }
            }
        }
        self.advance_anyhow()
    }

    /// The next line in every case, the unusual ones included.
    fn advance_anyhow(&mut self) -> Result<Step, LineError> {
        if self.overlong != Overlong::No && !self.leave_behind()? {
            return Ok(Step::Pending);
        }
        loop {
            if let Some(end) = self.find_end() {
                return self.found(end);
            }
            if self.end - self.start > self.longest.saturating_add(2) {
                if self.returns_end_lines() {
                    continue;
                }
                self.line += 1;
                self.overlong = Overlong::On;
                return Err(LineError::TooLong);
            }
            if self.at_end {
                if self.start == self.end {
                    return Ok(Step::End);
                }
                if self.returns_end_lines() {
                    continue;
                }
                return self.found(self.end);
            }
            if !self.read_more()? {
                return Ok(Step::Pending);
            }
        }
    }

    /// The end of the line that begins at `start`. `scanned` is the position up to which it was searched.
    fn find_end(&mut self) -> Option<usize> {
        if self.ends == Ends::Any {
            return self.find_any_end();
        }
        let unseen = self.buffer.get(self.scanned..self.end).unwrap_or_default();
        match memchr(b'\n', unseen) {
            Some(at) => Some(self.scanned + at + 1),
            None => {
                self.scanned = self.end;
                None
            }
        }
    }

    fn find_any_end(&mut self) -> Option<usize> {
        let unseen = self.buffer.get(self.scanned..self.end).unwrap_or_default();
        let Some(at) = memchr2(b'\n', b'\r', unseen) else {
            self.scanned = self.end;
            return None;
        };
        let behind = self.scanned + at + 1;
        if unseen.get(at) == Some(&b'\n') {
            return Some(behind);
        }
        match unseen.get(at + 1) {
            Some(b'\n') => Some(behind + 1),
            None if !self.at_end => {
                // The next byte, which is not read yet, decides whether this is a CRLF.
                self.scanned = behind - 1;
                None
            }
            Some(_) | None => Some(behind),
        }
    }

    /// Whether the text has had no LF so far, and has a CR. From then on, CR ends lines.
    #[cold]
    fn returns_end_lines(&mut self) -> bool {
        let text = self.buffer.get(self.start..self.end).unwrap_or_default();
        // A CR at the very end is half of a CRLF, or ends the only line.
        let inside = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
        let returns = self.ends == Ends::Unknown && memchr(b'\r', inside).is_some();
        if returns {
            self.ends = Ends::Any;
            self.scanned = self.start;
        }
        returns
    }

    fn found(&mut self, end: usize) -> Result<Step, LineError> {
        let start = self.start;
        self.line += 1;
        if self.ends == Ends::Unknown {
            self.ends = Ends::Lf;
        }
        let line = self.buffer.get(start..end).unwrap_or_default();
        if end - start > self.longest && content(line).len() > self.longest {
            self.overlong = Overlong::Until(end);
            return Err(LineError::TooLong);
        }
        if self.looks_for_returns == LookFor::All {
            self.has_returns = self.has_returns || memchr(b'\r', content(line)).is_some();
        }
        self.last = start;
        self.start = end;
        self.scanned = end;
        Ok(Step::Found(start, end))
    }

    /// Skips the line that was too long; `false` if its end has not arrived yet.
    #[cold]
    fn leave_behind(&mut self) -> Result<bool, LineError> {
        loop {
            let end = match self.overlong {
                Overlong::No => return Ok(true),
                Overlong::Until(end) => Some(end),
                Overlong::On => self.find_end_of_first(),
            };
            let gone = end.unwrap_or(self.scanned);
            (self.start, self.scanned) = (gone, gone);
            if end.is_some() || self.at_end {
                self.overlong = Overlong::No;
                return Ok(true);
            }
            if !self.read_more()? {
                return Ok(false);
            }
        }
    }

    /// The end of a line that is too long to keep. If it is the first line, the kind of line end is set too.
    fn find_end_of_first(&mut self) -> Option<usize> {
        if self.ends != Ends::Unknown {
            return self.find_end();
        }
        let end = self.find_any_end()?;
        let before = end.checked_sub(1).and_then(|last| self.buffer.get(last));
        self.ends = if before == Some(&b'\n') { Ends::Lf } else { Ends::Any };
        Some(end)
    }

    /// Makes room and reads a piece; `false` if the input has no bytes at present.
    fn read_more(&mut self) -> Result<bool, LineError> {
        let from = self.kept.map_or(self.start, |kept| kept.begin);
        if from > 0 {
            self.buffer.copy_within(from..self.end, 0);
            self.passed += from as u64;
            self.end -= from;
            self.scanned -= from;
            self.start -= from;
            if let Some(kept) = &mut self.kept {
                kept.begin = 0;
                kept.first_ends -= from;
            }
        }
        if self.end == self.buffer.len() {
            // A caller that keeps lines keeps at most the longest allowed line, and reads one more.
            let lines = if self.kept.is_some() { self.longest.saturating_mul(2) } else { self.longest };
            let most = lines.saturating_add(Self::CHUNK).max(self.buffer.len());
            // A read into no room would look like the end of the input.
            let size = self.buffer.len().saturating_mul(2).min(most).max(self.buffer.len() + 1);
            self.buffer.reserve_exact(size - self.buffer.len());
            self.buffer.resize(size, 0);
        }
        loop {
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(n) => {
                    self.at_end = n == 0;
                    if self.looks_for_returns == LookFor::First && self.line == 0 && !self.has_returns {
                        let read = self.buffer.get(self.end..self.end + n).unwrap_or_default();
                        self.has_returns = memchr(b'\r', read).is_some();
                    }
                    self.end += n;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(LineError::Read(error)),
            }
        }
    }
}

/// The first LF. Also sets `has_returns` if a CR before it does not belong to a line end.
#[inline]
fn find_lf(text: &[u8], has_returns: &mut bool) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'\n', b'\r', text.get(from..).unwrap_or_default())?;
        if text.get(at) == Some(&b'\n') {
            return Some(at);
        }
        *has_returns |= text.get(at + 1).is_some_and(|next| *next != b'\n');
        from = at + 1;
    }
}

/// The line without its line end (`\n`, `\r\n` or `\r`).
#[inline]
pub(super) fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The byte order mark of UTF-8, which some programs write before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line without a byte order mark before it. The mark is on the first line of a file, and on the first line
/// of each part of a concatenated file.
#[inline]
pub(super) fn without_mark(line: &[u8]) -> &[u8] {
    // One byte is enough to exclude a mark on nearly every line.
    if line.first() == Some(&0xEF) { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
}

/// Whether a line is only a mark without a line end, so that the file has no text after it.
pub(super) fn is_mark(line: &[u8]) -> bool {
    line == BYTE_ORDER_MARK
}

#[cfg(test)]
#[path = "line_reader_tests.rs"]
mod tests;
