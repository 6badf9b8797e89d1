use std::io::{self, Stdout};

use super::record_writer::RecordWriter;
use super::{ConnectorError, Sink, SinkOutcome};
use crate::batch::Batch;

/// Standard output, a record a line. Many lines are written at once, each time under the lock, so that lines of two sinks
/// of one program never mix.
pub(super) struct StdoutSink {
    writer: RecordWriter<Stdout>,
}

impl StdoutSink {
    pub(super) fn new() -> Self {
        Self { writer: RecordWriter::new(io::stdout(), "standard output".to_owned()) }
    }
}

impl Sink for StdoutSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        self.writer.write(batch)
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        self.writer.flush()
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        self.writer.flush()
    }
}
