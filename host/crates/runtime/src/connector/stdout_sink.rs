use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, poll};

use super::layout::Layout;
use super::line_output::LineOutput;
use super::record_writer::RecordWriter;
use super::{ConnectorError, Sink, SinkOutcome};
use sage_batch::Batch;

/// Standard output, one record per line or row. Many lines are written at once, each time under the lock, so that
/// lines of two sinks in one program never mix.
pub(super) struct StdoutSink {
    writer: RecordWriter<Unbuffered>,
}

/// Standard output without the buffer of the standard library: bytes that `write` accepts have reached the
/// system.
#[derive(Debug)]
struct Unbuffered;

impl StdoutSink {
    pub(super) fn new(layout: Layout) -> Self {
        Self { writer: RecordWriter::new(Unbuffered, layout, "standard output".to_owned()) }
    }
}

impl Sink for StdoutSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        self.writer.write(batch)
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        self.writer.flush()
    }

    fn written(&self) -> Option<u64> {
        Some(self.writer.written())
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        if self.writer.has_failed() { Ok(()) } else { self.writer.flush() }
    }
}

impl Write for Unbuffered {
    /// Writes all bytes under the lock. A smaller result means that an error came in between; the next call
    /// meets it again.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _lock = io::stdout().lock();
        let output = rustix::stdio::stdout();
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match rustix::io::write(output, rest) {
                Ok(0) => break,
                Ok(more) => taken += more,
                Err(rustix::io::Errno::INTR) => {}
                // Another program that shares the stream has made it non-blocking.
                Err(rustix::io::Errno::AGAIN) => {
                    let _ = poll(&mut [PollFd::new(&output, PollFlags::OUT)], None);
                }
                Err(error) if taken == 0 => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineOutput for Unbuffered {}
