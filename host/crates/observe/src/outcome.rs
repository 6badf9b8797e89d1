use serde::Serialize;

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read and processed.
    Completed,
    /// A source without an end was stopped, and all records that it had sent were processed.
    Drained,
    /// A stop cut short work that would have ended by itself.
    Interrupted,
    /// The pipeline failed.
    Failed(RunFailure),
}

/// The reason why a pipeline failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFailure {
    /// The error's stable code.
    pub code: &'static str,
    /// Name of the stage.
    #[serde(rename = "operator")]
    pub stage: String,
    /// Index of the stage's instance.
    pub instance: u32,
    /// Description of the failure.
    pub message: String,
    /// Description of the affected record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Advice for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Outcome {
    /// Name of the outcome.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Drained => "drained",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
        }
    }

    /// The failure, if the run failed.
    #[must_use]
    pub fn failure(&self) -> Option<&RunFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}
