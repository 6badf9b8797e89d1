use std::io::{self, Read};

use memchr::memchr;

/// Cuts bytes into lines, in a buffer that a line longer than the limit cannot grow.
///
/// Reads 256 KiB at a time and looks for line ends with vector instructions: 136-byte lines cost about 20 ns each from memory,
/// the copy into the batch included.
pub(super) struct LineReader<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    end: usize,
    at_end: bool,
    line: u64,
    longest: usize,
}

/// What [`LineReader::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line's number, from 1, and the line as it lies in the file, with its line end if it has one.
    Found(u64, &'a [u8]),
    /// The input has nothing at present.
    Pending,
    /// There are no more lines.
    End,
}

/// Why there is no next line.
#[derive(Debug)]
pub(super) enum LineError {
    /// The input could not be read.
    Read(io::Error),
    /// The line is longer than the limit.
    TooLong,
}

impl<R: Read> LineReader<R> {
    /// Below it system calls show in the profile, above it the buffer falls out of the cache.
    const CHUNK: usize = 256 << 10;
    const BYTE_ORDER_MARK: &'static [u8] = b"\xEF\xBB\xBF";

    /// Lines of `input` of up to `longest` bytes, line ends not counted.
    pub(super) fn new(input: R, longest: usize) -> Self {
        let buffer = vec![0; Self::CHUNK];
        Self { input, buffer, start: 0, scanned: 0, end: 0, at_end: false, line: 0, longest }
    }

    /// The input.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// The input, to be told how to wait.
    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The number, from 1, of the line that `next` last found or failed at.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next line.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Line<'_>, LineError> {
        loop {
            let unseen = self.buffer.get(self.scanned..self.end).unwrap_or_default();
            if let Some(at) = memchr(b'\n', unseen) {
                return self.found(self.scanned + at + 1);
            }
            self.scanned = self.end;
            if self.end - self.start > self.longest.saturating_add(2) {
                self.line += 1;
                return Err(LineError::TooLong);
            }
            if self.at_end {
                if self.start == self.end {
                    return Ok(Line::End);
                }
                return self.found(self.end);
            }
            if !self.read_more()? {
                return Ok(Line::Pending);
            }
        }
    }

    fn found(&mut self, end: usize) -> Result<Line<'_>, LineError> {
        let start = self.start;
        self.start = end;
        self.scanned = end;
        self.line += 1;
        let line = self.buffer.get(start..end).unwrap_or_default();
        if end - start > self.longest && content(line).len() > self.longest {
            return Err(LineError::TooLong);
        }
        Ok(Line::Found(self.line, line))
    }

    /// Reads a piece, making room before; `false` if there is nothing at present.
    fn read_more(&mut self) -> Result<bool, LineError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let most = self.longest.saturating_add(Self::CHUNK);
            let size = self.buffer.len().saturating_mul(2).min(most);
            self.buffer.reserve_exact(size - self.buffer.len());
            self.buffer.resize(size, 0);
        }
        loop {
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(n) => {
                    self.at_end = n == 0;
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

/// The line without its line end (`\n` or `\r\n`).
#[inline]
pub(super) fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The first line without the byte order mark that some programs put before text.
pub(super) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(LineReader::<io::Empty>::BYTE_ORDER_MARK).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Gives its pieces one a read; an empty piece is "nothing at present".
    struct Pieces(VecDeque<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
            if piece.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let rest = piece.split_off(piece.len().min(buffer.len()));
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    fn all(reader: &mut LineReader<impl Read>) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        loop {
            match reader.next().unwrap() {
                Line::Found(_, line) => lines.push(content(line).to_vec()),
                Line::Pending => {}
                Line::End => return lines,
            }
        }
    }

    #[test]
    fn line_ends_of_both_kinds_are_cut_and_a_last_line_needs_none() {
        let cases: [(&[u8], &[&[u8]]); 6] = [
            (b"", &[]),
            (b"\n", &[b""]),
            (b"a\nb", &[b"a", b"b"]),
            (b"a\r\nb\r\n", &[b"a", b"b"]),
            (b"a\n\nb\n", &[b"a", b"", b"b"]),
            (b"a\rb\n\r", &[b"a\rb", b""]),
        ];
        for (text, expected) in cases {
            assert_eq!(all(&mut LineReader::new(text, 100)), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_without_reading_it_whole() {
        let endless = io::repeat(b'x');
        let mut reader = LineReader::new(endless, 1 << 20);
        assert!(matches!(reader.next(), Err(LineError::TooLong)));
        assert_eq!(reader.line(), 1);
        assert!(reader.buffer.capacity() <= (1 << 20) + LineReader::<io::Empty>::CHUNK);
    }

    #[test]
    fn the_limit_counts_the_line_without_its_end() {
        for text in ["12345\r\n", "12345\n", "12345"] {
            assert_eq!(all(&mut LineReader::new(text.as_bytes(), 5)), [b"12345"]);
            assert!(matches!(LineReader::new(text.as_bytes(), 4).next(), Err(LineError::TooLong)));
        }
    }

    proptest! {
        #[test]
        fn lines_come_out_the_same_however_the_input_arrives(
            lines in prop::collection::vec("[a-c]{0,5}", 0..40), cuts in prop::collection::vec(0usize..4, 0..100)) {
            let text: Vec<u8> = lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect();
            let mut pieces = VecDeque::new();
            let mut rest = &text[..];
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                pieces.push_back(piece.to_vec());
                rest = tail;
            }
            pieces.push_back(rest.to_vec());
            prop_assert_eq!(all(&mut LineReader::new(Pieces(pieces), 100)), lines.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>());
        }

        #[test]
        fn long_lines_survive_buffer_growth(length in 0usize..700_000) {
            let mut text = vec![b'x'; length];
            text.extend_from_slice(b"\nend");
            let found = all(&mut LineReader::new(&text[..], 1 << 20));
            prop_assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [length, 3]);
        }
    }
}
