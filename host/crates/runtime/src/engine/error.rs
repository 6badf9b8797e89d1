use std::fmt;

use thiserror::Error;

use crate::connector::ConnectorError;
use sage_models::ServiceError;
use sage_observe::RunFailure;
use sage_sandbox::FailureCode;

/// The reason why a pipeline failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct PipelineError {
    /// The stage.
    pub stage: String,
    /// The instance of the stage.
    pub instance: u32,
    /// The kind of failure.
    pub code: FailureCode,
    /// A description of the failure.
    pub message: String,
    /// The record at which the failure happened: its source and its place there.
    pub record: Option<String>,
    /// A hint for the user.
    pub hint: Option<String>,
}

impl PipelineError {
    pub(super) fn fault(stage: &str, message: &str) -> Self {
        Self::of_host(stage, FailureCode::Fault, message)
    }

    pub(super) fn connector(stage: &str, message: &str) -> Self {
        Self::of_host(stage, FailureCode::Connector, message)
    }

    fn of_host(stage: &str, code: FailureCode, message: &str) -> Self {
        let (stage, message) = (stage.to_owned(), message.to_owned());
        Self { stage, instance: 0, code, message, record: None, hint: None }
    }

    pub(super) fn into_run_failure(self) -> RunFailure {
        let Self { stage, instance, code, message, record, hint } = self;
        RunFailure { code: code.name(), stage, instance, message, record, hint }
    }
}

impl fmt::Display for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" (instance {}) failed with {}", self.stage, self.instance, self.code)?;
        if let Some(record) = &self.record {
            write!(f, " at {record}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The reason why a run did not start. A later failure is an outcome in the summary.
#[derive(Debug, Error)]
pub enum RunError {
    /// A source, sink or dead-letter file cannot be opened.
    #[error("\"{stage}\": {}", error.in_full())]
    Connector {
        /// The stage.
        stage: String,
        /// The reason.
        error: ConnectorError,
    },
    /// Operators failed before any data flowed.
    #[error("{}", start_failures(.0))]
    Start(Vec<PipelineError>),
    /// A thread could not be created or placed.
    #[error("lane \"{lane}\" cannot run: {reason}")]
    Lane {
        /// The name of the lane.
        lane: String,
        /// The reason.
        reason: String,
    },
    /// An instance cannot be launched.
    #[error("cannot launch an instance: {reason}")]
    Launcher {
        /// The reason.
        reason: String,
    },
    /// Models or their devices cannot be used.
    #[error(transparent)]
    Models(Box<ServiceError>),
    /// The checkpoints cannot be used, or do not fit the pipeline.
    #[error("{what}")]
    Checkpoint {
        /// The reason.
        what: String,
        /// A hint for the user.
        hint: Option<String>,
    },
    /// A bug in the host.
    #[error("internal fault: {0}")]
    Internal(String),
}

impl RunError {
    pub(super) fn connector(stage: &str, error: ConnectorError) -> Self {
        Self::Connector { stage: stage.to_owned(), error }
    }

    pub(super) fn no_checkpoints() -> Self {
        let what = "the pipeline saves no epochs from which a run could go on".to_owned();
        let hint = "give it a folder for them: [pipeline] checkpoint = { folder = \"state\" }".to_owned();
        Self::Checkpoint { what, hint: Some(hint) }
    }

    /// A hint for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Connector { error, .. } => error.hint.as_deref(),
            Self::Models(error) => error.hint(),
            Self::Checkpoint { hint, .. } => hint.as_deref(),
            Self::Start(failures) => failures.iter().find_map(|failure| failure.hint.as_deref()),
            _ => None,
        }
    }
}

/// An error and its causes in one line, for places that keep no chain of causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |mut words, cause| {
        let cause = cause.to_string();
        if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
        words
    })
}

fn start_failures(failures: &[PipelineError]) -> String {
    let alike = |a: &PipelineError, b: &PipelineError| (&a.stage, a.code, &a.message) == (&b.stage, b.code, &b.message);
    let groups = failures.chunk_by(alike).filter_map(|group| Some((group.first()?, group.len() - 1)));
    let lines = groups.map(|(first, more)| match more {
        0 => first.to_string(),
        1 => format!("{first} (and 1 more instance alike)"),
        _ => format!("{first} (and {more} more instances alike)"),
    });
    lines.collect::<Vec<_>>().join("\n")
}
