use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a check of a revision found: everything that can be known without running it. The process of the check writes
/// it to the revision's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobCheck {
    /// [`crate::VERSION`] of the program that checked.
    pub version: u32,
    /// Whether a start makes sense. `None`: the pipeline is valid, and this machine can give what it asks for as soon
    /// as other runs do not hold it.
    pub objection: Option<Objection>,
    /// Cost of another attempt; absent with an objection to the file.
    pub class: Option<RestartClass>,
    /// The enforcement report, as `run --explain --output json` prints it; absent if other runs hold what it asks for.
    pub report: Option<Value>,
}

/// The reason why a pipeline is not started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objection {
    /// The exit code that `run` would have had.
    pub exit_code: u8,
    /// The error, as `--output json` prints it.
    pub error: Value,
    /// The same for people, with lines of the file and carets.
    pub text: String,
}

/// Cost of another attempt of a job, computed from its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartClass {
    /// The attempt reads bounded input again and writes the same output again.
    Idempotent,
    /// Records may be processed or delivered once more.
    AtLeastOnce,
    /// Keyed state, or the position in an input without end, is lost.
    LosesState,
}
