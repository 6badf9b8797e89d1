use super::{ConnectorError, Sink, SinkOutcome};
use sage_batch::Batch;

/// A sink that discards records. The engine counts arrivals, as for every stage.
pub(super) struct DiscardSink;

impl Sink for DiscardSink {
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
