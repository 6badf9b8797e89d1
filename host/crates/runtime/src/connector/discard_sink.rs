use super::{ConnectorError, Sink, SinkOutcome};
use sage_batch::Batch;

/// Nowhere. The engine counts what arrives, as for every stage.
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
