use clap::ValueEnum;

use sage_observe::LogFormat;

/// The format of messages on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for a log collector such as journald.
    Json,
}

impl From<MessageFormat> for LogFormat {
    fn from(format: MessageFormat) -> Self {
        match format {
            MessageFormat::Text => Self::Text,
            MessageFormat::Json => Self::Json,
        }
    }
}
