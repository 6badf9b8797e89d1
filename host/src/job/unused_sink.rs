use sage_batch::Batch;
use sage_runtime::connector::{ConnectorError, Sink, SinkOutcome};

/// The sink of a pipeline that is checked and never run.
pub(super) struct UnusedSink;

impl Sink for UnusedSink {
    fn write(&mut self, _: &Batch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        Ok(())
    }
}
