use serde::Serialize;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read and taken care of.
    Completed,
    /// A source without end was stopped, and everything it had sent was taken care of.
    Drained,
    /// Something that would have ended was cut short.
    Interrupted,
    /// The pipeline failed.
    Failed(RunFailure),
}

/// What a pipeline failed of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFailure {
    /// The error's stable code.
    pub code: &'static str,
    /// The stage.
    #[serde(rename = "operator")]
    pub stage: String,
    /// Its instance.
    pub instance: u32,
    /// What happened.
    pub message: String,
    /// The record that it happened to, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Outcome {
    /// The outcome in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Drained => "drained",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
        }
    }

    /// The failure, if it is one.
    #[must_use]
    pub fn failure(&self) -> Option<&RunFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}
