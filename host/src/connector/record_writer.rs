use std::io::{self, Write};

use memchr::memchr;

use super::ConnectorError;
use crate::batch::{Batch, Origin};

/// Writes records as lines, many at a time.
#[derive(Debug)]
pub(super) struct RecordWriter<W> {
    output: W,
    buffer: Vec<u8>,
    /// What errors call the output.
    name: String,
}

impl<W: Write> RecordWriter<W> {
    /// Bytes that are gathered before they are written: below it system calls show, above it the buffer falls out of the cache.
    const CHUNK: usize = 256 << 10;

    pub(super) fn new(output: W, name: String) -> Self {
        Self { output, buffer: Vec::with_capacity(Self::CHUNK), name }
    }

    /// Writes each payload and a line end.
    ///
    /// A payload with a line end in it is refused, for it would be read back as two records. Records before it are written.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        // One search over the whole column: it costs a fiftieth of one a record.
        let breaks = memchr(b'\n', batch.payloads().bytes()).is_some();
        for (row, payload) in batch.payloads().iter().enumerate() {
            if breaks && memchr(b'\n', payload).is_some() {
                return Err(self.line_end_inside(batch.origins().get(row).copied().unwrap_or(Origin::NONE)));
            }
            if self.buffer.len() + payload.len() >= Self::CHUNK {
                self.empty_buffer()?;
            }
            self.buffer.extend_from_slice(payload);
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    /// Makes everything written so far visible.
    pub(super) fn flush(&mut self) -> Result<(), ConnectorError> {
        self.empty_buffer()?;
        self.output.flush().map_err(|cause| self.cannot_write(cause))
    }

    /// The output, with everything written to it.
    pub(super) fn into_output(mut self) -> Result<W, ConnectorError> {
        self.flush()?;
        Ok(self.output)
    }

    fn empty_buffer(&mut self) -> Result<(), ConnectorError> {
        let written = self.output.write_all(&self.buffer);
        // Also on error: nothing is ever written twice.
        self.buffer.clear();
        written.map_err(|cause| self.cannot_write(cause))
    }

    fn cannot_write(&self, cause: io::Error) -> ConnectorError {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return ConnectorError::caused(format!("{} was closed by whoever read it", self.name), cause);
        }
        ConnectorError::caused(format!("cannot write to {}", self.name), cause)
    }

    fn line_end_inside(&self, origin: Origin) -> ConnectorError {
        let from = origin.parts().map_or_else(
            || "a record that stands for no single input record".to_owned(),
            |(source, offset)| format!("the record made of record {offset} of source {source}"),
        );
        ConnectorError::new(format!("{from} has a line end in it, and {} takes a record a line", self.name))
            .hint("let the last operator write JSON, or escape line ends")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Record;

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
        let mut writer = RecordWriter::new(Vec::new(), "out".to_owned());
        writer.write(&batch(&[b"a", b"", b"b"])).unwrap();
        writer.write(&batch(&[&large, b"c"])).unwrap();
        assert!(writer.buffer.len() < 300 << 10, "what does not fit is written");
        let expected = [b"a\n\nb\n", &large[..], b"\nc\n"].concat();
        assert!(writer.into_output().unwrap() == expected);
    }

    #[test]
    fn a_payload_with_a_line_end_is_refused_and_named() {
        let mut writer = RecordWriter::new(Vec::new(), "out.jsonl".to_owned());
        let error = writer.write(&batch(&[b"a", b"b\nc", b"d"])).unwrap_err();
        assert_eq!(
            error.what,
            "the record made of record 1 of source 1 has a line end in it, and out.jsonl takes a record a line"
        );
        assert!(error.hint.is_some());
        assert_eq!(writer.into_output().unwrap(), b"a\n");
    }

    #[test]
    fn a_reader_that_went_away_is_an_error_not_a_signal() {
        let (reader, output) = io::pipe().unwrap();
        drop(reader);
        let mut writer = RecordWriter::new(output, "standard output".to_owned());
        writer.write(&batch(&[b"a"])).unwrap();
        let error = writer.flush().unwrap_err();
        assert_eq!(error.what, "standard output was closed by whoever read it");
        assert_eq!(error.cause.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }
}
