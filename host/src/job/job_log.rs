use std::sync::{Arc, Mutex, PoisonError};

use sage_jobs::{JobLog, LogLevel, LogMessage, LogOrigin};
use sage_observe::{Message, MessageOrigin, pass_messages};
use sage_text::plain_text;
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// The log of a job, which all threads write to.
#[derive(Debug, Clone)]
pub(super) struct SharedLog(Arc<Mutex<JobLog>>);

impl SharedLog {
    pub(super) fn new(log: JobLog) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }

    /// Takes the messages of the host and of guests from now on.
    pub(super) fn take_messages(&self) {
        let log = self.clone();
        pass_messages(LevelFilter::INFO, move |message| log.message(message));
    }

    /// Writes a record of a sink for standard output.
    pub(super) fn record(&self, sink: &str, record: &[u8]) {
        let text = String::from_utf8_lossy(record);
        self.write(LogMessage {
            level: LogLevel::Info,
            origin: LogOrigin::Record,
            operator: Some(sink),
            instance: None,
            text: &plain_text(&text),
        });
    }

    fn message(&self, message: Message<'_>) {
        let Message { level, origin, operator, instance, text } = message;
        let level = match level {
            Level::TRACE => LogLevel::Trace,
            Level::DEBUG => LogLevel::Debug,
            Level::INFO => LogLevel::Info,
            Level::WARN => LogLevel::Warn,
            Level::ERROR => LogLevel::Error,
        };
        let origin = match origin {
            MessageOrigin::Guest => LogOrigin::Guest,
            MessageOrigin::Host => LogOrigin::Host,
        };
        // A part of the text may come from a guest, a file or a library.
        self.write(LogMessage { level, origin, operator, instance, text: &plain_text(text) });
    }

    fn write(&self, message: LogMessage<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(message);
    }
}
