use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "tract")]
use super::try_out::try_out;
use super::{InferenceError, ModelError, ModelFacts, ModelInspection};

/// Looks at models in another process than this one: parsing and compiling a stranger's file may take for ever, or all memory, or the process
/// with it.
pub trait ExamineElsewhere: fmt::Debug + Send + Sync {
    /// Reads what a file says of itself and, with [`Trial::Wanted`], loads it with tract and runs it once. Blocks for as long as that takes, and no
    /// longer than `limits.timeout` by more than a moment.
    ///
    /// # Errors
    /// The file cannot be read as a model, or what it broke. That tract cannot run it is an answer.
    fn examine(&self, model: &[u8], trial: Trial, limits: ExamineLimits) -> Result<Examined, ModelError>;
}

/// Whether a model is to be tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// With tract: for a model that tract will run.
    Wanted,
    /// Its file is read only: for a model that another backend will run, which its own process tries out.
    NotWanted,
}

/// What looking at one model may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExamineLimits {
    /// From its start to its end.
    pub timeout: Duration,
    /// Bytes of memory.
    pub memory: u64,
}

impl ExamineLimits {
    /// What a file of so many bytes may take. tract held 256 MiB of weights 4.1 times at its highest (the file, parsed, as constants, packed for
    /// its kernels) and took 2.5 s for all of it on a busy machine; beside that is room for constants that it computes.
    #[must_use]
    pub fn of_file(bytes: u64) -> Self {
        Self { timeout: Duration::from_secs(60), memory: bytes.saturating_mul(5).saturating_add(512 << 20) }
    }
}

/// A model that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examined {
    /// What its file says.
    pub inspection: ModelInspection,
    /// What became of trying it out; `None` where that was not wanted.
    pub tried: Option<Tried>,
}

/// What became of trying a model out with tract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tried {
    /// It cannot be loaded, or does not run.
    Refused(String),
    /// It can be loaded.
    Loaded {
        /// How long that took.
        load: Duration,
        /// How long one row of zeros took. `None` where it has free dimensions beside its rows and does not run with 1 for each: nobody knows
        /// what fits.
        run: Option<Duration>,
        /// Whether the graph shows that rows are independent, and random rows gave the same alone and in company.
        takes_rows: bool,
        /// The most memory that the process had, the program included, in bytes.
        memory: Option<u64>,
    },
}

impl Examined {
    /// What it takes and gives, if it can be used.
    ///
    /// # Errors
    /// [`ModelError::Refused`]: it was tried out and does not run.
    pub fn accepted(self) -> Result<ModelFacts, ModelError> {
        match self.tried {
            Some(Tried::Refused(reason)) => Err(ModelError::Refused(reason)),
            Some(Tried::Loaded { .. }) | None => Ok(self.inspection.facts),
        }
    }
}

/// What the process of an [`ExamineElsewhere`] does. `memory` tells the most that it had.
///
/// # Errors
/// The file cannot be read as a model.
pub fn examine(model: &[u8], trial: Trial, memory: impl FnOnce() -> Option<u64>) -> Result<Examined, InferenceError> {
    let inspection = ModelInspection::of(model)?;
    let tried = match trial {
        Trial::NotWanted => None,
        Trial::Wanted => Some(match try_out(model) {
            Ok((load, run, takes_rows)) => Tried::Loaded { load, run, takes_rows, memory: memory() },
            Err(InferenceError::Unsupported(reason) | InferenceError::Backend(reason)) => Tried::Refused(reason),
            Err(error) => Tried::Refused(error.to_string()),
        }),
    };
    Ok(Examined { inspection, tried })
}

/// How long loading took, how long a row, and whether it takes several.
#[cfg(not(feature = "tract"))]
fn try_out(_model: &[u8]) -> Result<(Duration, Option<Duration>, bool), InferenceError> {
    Err(InferenceError::Unsupported("this sage-host was built without tract".to_owned()))
}
