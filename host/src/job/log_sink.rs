use sage_batch::Batch;
use sage_runtime::connector::{ConnectorError, Sink, SinkOutcome};

use super::job_log::SharedLog;

/// The sink that takes the place of standard output: each record is a line of the job's log. A record that the log
/// drops counts as written, as the log says how many it dropped.
pub(super) struct LogSink {
    pub(super) name: String,
    pub(super) log: SharedLog,
}

impl Sink for LogSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        for record in batch.payloads().iter() {
            self.log.record(&self.name, record);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        Ok(())
    }
}
