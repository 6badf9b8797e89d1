use std::io;

use memchr::{memchr, memchr_iter};

use super::ConnectorError;
use super::layout::Layout;
use super::line_output::LineOutput;
use sage_batch::{Batch, Origin};

/// Writes records as lines or rows, many at a time, and counts the records whose whole line or row the output has
/// accepted.
#[derive(Debug)]
pub(super) struct RecordWriter<W> {
    output: W,
    buffer: Vec<u8>,
    /// Number of records in the buffer.
    gathered: u64,
    /// Rows: the end of each record in the buffer. `None`: each line is a record.
    ends: Option<Vec<usize>>,
    written: u64,
    failed: bool,
    /// Name of the output in errors.
    name: String,
}

impl<W: LineOutput> RecordWriter<W> {
    /// Bytes that are gathered before they are written. Smaller writes make system calls visible in the
    /// profile; a larger buffer does not fit the cache.
    const CHUNK: usize = 256 << 10;

    pub(super) fn new(output: W, layout: Layout, name: String) -> Self {
        let mut buffer = Vec::with_capacity(Self::CHUNK);
        let ends = match layout {
            Layout::Lines => None,
            Layout::Rows(header) => {
                buffer.extend_from_slice(&header);
                Some(Vec::new())
            }
        };
        Self { output, buffer, gathered: 0, ends, written: 0, failed: false, name }
    }

    /// Writes each payload with a line end.
    ///
    /// In lines, a payload that contains a line end is refused, because it would be read back as two records. Records
    /// before it are written.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        // One search over the whole column takes a fiftieth of the time of one search for each record.
        let breaks = self.ends.is_none() && memchr(b'\n', batch.payloads().bytes()).is_some();
        for (row, payload) in batch.payloads().iter().enumerate() {
            if breaks && memchr(b'\n', payload).is_some() {
                return Err(self.line_end_inside(batch.origins().get(row).copied().unwrap_or(Origin::NONE)));
            }
            if self.buffer.len() + payload.len() >= Self::CHUNK {
                self.empty_buffer()?;
            }
            self.buffer.extend_from_slice(payload);
            self.buffer.push(b'\n');
            self.gathered += 1;
            if let Some(ends) = &mut self.ends {
                ends.push(self.buffer.len());
            }
        }
        Ok(())
    }

    /// Makes everything written so far visible.
    pub(super) fn flush(&mut self) -> Result<(), ConnectorError> {
        self.empty_buffer()?;
        self.output.flush().map_err(|cause| self.cannot_write(cause))
    }

    /// Number of records that a reader can see. After an error, only records whose whole line was accepted
    /// before it count.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether a write has failed, so that the output lacks some of the records.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Bytes that are gathered and not written yet.
    pub(super) fn buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    pub(super) fn output_mut(&mut self) -> &mut W {
        &mut self.output
    }

    /// The output. For a complete output, call [`RecordWriter::flush`] first.
    pub(super) fn into_output(self) -> W {
        self.output
    }

    fn empty_buffer(&mut self) -> Result<(), ConnectorError> {
        let (mut taken, written) = self.pass_on();
        // The buffer is cleared on an error too, so that no bytes are written twice.
        if written.is_ok() {
            self.written += self.gathered;
        } else {
            if self.output.keeps_back() {
                taken = 0;
            }
            self.written += match &self.ends {
                None => memchr_iter(b'\n', self.buffer.get(..taken).unwrap_or_default()).count() as u64,
                Some(ends) => ends.iter().filter(|end| **end <= taken).count() as u64,
            };
            self.failed = true;
        }
        self.buffer.clear();
        self.gathered = 0;
        if let Some(ends) = &mut self.ends {
            ends.clear();
        }
        written.map_err(|cause| self.cannot_write(cause))
    }

    /// Hands the buffer to the output. Returns the number of bytes that it accepted, and the result.
    fn pass_on(&mut self) -> (usize, io::Result<()>) {
        let mut taken = 0;
        while let Some(rest) = self.buffer.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.output.write(rest) {
                Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => taken += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (taken, Err(error)),
            }
        }
        let flushed = if taken > 0 && self.output.keeps_back() { self.output.flush() } else { Ok(()) };
        (taken, flushed)
    }

    fn cannot_write(&self, cause: io::Error) -> ConnectorError {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return ConnectorError::caused(format!("{} was closed by its reader", self.name), cause);
        }
        ConnectorError::caused(format!("cannot write to {}", self.name), cause)
    }

    fn line_end_inside(&self, origin: Origin) -> ConnectorError {
        ConnectorError::new(format!("the record has a line end in it, and {} takes a record a line", self.name))
            .hint("let the last operator write JSON, or escape line ends")
            .at(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sage_batch::Record;

    fn batch(payloads: &[&[u8]]) -> Batch {
        let mut batch = Batch::new();
        for (n, payload) in payloads.iter().enumerate() {
            assert!(batch.push(Record::of(payload, Origin::new(1, n as u64))));
        }
        batch
    }

    #[test]
    fn records_become_lines_whatever_their_size() {
        let large = vec![b'x'; 300 << 10];
        let mut writer = RecordWriter::new(Vec::new(), Layout::Lines, "out".to_owned());
        writer.write(&batch(&[b"a", b"", b"b"])).unwrap();
        writer.write(&batch(&[&large, b"c"])).unwrap();
        assert!(writer.buffer.len() < 300 << 10, "what does not fit is written");
        let expected = [b"a\n\nb\n", &large[..], b"\nc\n"].concat();
        writer.flush().unwrap();
        assert_eq!(writer.written(), 5);
        assert!(writer.into_output() == expected);
    }

    #[test]
    fn a_payload_with_a_line_end_is_refused_and_named() {
        let mut writer = RecordWriter::new(Vec::new(), Layout::Lines, "out.jsonl".to_owned());
        let error = writer.write(&batch(&[b"a", b"b\nc", b"d"])).unwrap_err();
        assert_eq!(error.what, "the record has a line end in it, and out.jsonl takes a record a line");
        assert_eq!(error.record, Some(Origin::new(1, 1)));
        assert!(error.hint.is_some());
        writer.flush().unwrap();
        assert_eq!(writer.written(), 1);
        assert_eq!(writer.into_output(), b"a\n");
    }

    #[test]
    fn a_reader_that_went_away_is_an_error_not_a_signal() {
        let (reader, output) = io::pipe().unwrap();
        drop(reader);
        let mut writer = RecordWriter::new(output, Layout::Lines, "standard output".to_owned());
        writer.write(&batch(&[b"a"])).unwrap();
        let error = writer.flush().unwrap_err();
        assert_eq!(error.what, "standard output was closed by its reader");
        assert_eq!(error.cause.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

    /// An output that accepts a number of bytes and then fails. As a compressor, it keeps all bytes back until
    /// a flush.
    struct Full {
        room: usize,
        keeps_back: bool,
    }

    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room).min(1000);
            self.room -= taken;
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl LineOutput for Full {
        fn keeps_back(&self) -> bool {
            self.keeps_back
        }
    }

    #[test]
    fn records_count_as_written_when_their_whole_line_was_taken() {
        // (room, keeps back, records of 3 bytes, written)
        let cases = [
            (0, false, 2, 0),
            (3, false, 2, 0),
            (4, false, 2, 1),
            (7, false, 2, 1),
            (8, false, 2, 2),
            (9, false, 3, 2),
            (1003, false, 500, 250),
            (9, true, 3, 0),
            (12, true, 3, 3),
        ];
        for (room, keeps_back, records, written) in cases {
            let mut writer = RecordWriter::new(Full { room, keeps_back }, Layout::Lines, "out".to_owned());
            writer.write(&batch(&vec![&b"abc"[..]; records])).unwrap();
            assert_eq!(writer.written(), 0, "nothing is written before it is flushed");
            let flushed = writer.flush();
            assert_eq!(flushed.is_err(), written < records as u64);
            assert_eq!((writer.written(), writer.has_failed()), (written, flushed.is_err()), "{room} {keeps_back}");
        }
    }

    #[test]
    fn rows_of_several_lines_count_as_records_and_the_header_as_none() {
        let header = || Layout::Rows(b"a,b\n".to_vec());
        let mut writer = RecordWriter::new(Vec::new(), header(), "out".to_owned());
        writer.write(&batch(&[b"1,\"x\ny\"", b"2,"])).unwrap();
        writer.flush().unwrap();
        writer.write(&batch(&[b"3,\"\n\""])).unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.written(), 3);
        assert_eq!(writer.into_output(), b"a,b\n1,\"x\ny\"\n2,\n3,\"\n\"\n");
        // (room, written) of a header and two records of four bytes each
        for (room, written) in [(3, 0), (4, 0), (7, 0), (8, 1), (11, 1), (12, 2)] {
            let mut writer = RecordWriter::new(Full { room, keeps_back: false }, header(), "out".to_owned());
            writer.write(&batch(&[b"\"\n\"", b"abc"])).unwrap();
            assert_eq!((writer.flush().is_ok(), writer.written()), (written == 2, written), "{room}");
        }
    }
}
