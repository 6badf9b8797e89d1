use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "tract")]
use super::try_out::try_out;
use super::{InferenceError, ModelError, ModelFacts, ModelInspection};

/// Examines models in another process. Parsing and compiling an untrusted file may never end, exhaust memory,
/// or crash the process.
pub trait ExamineElsewhere: fmt::Debug + Send + Sync {
    /// Reads the description in a model's file. With [`Trial::Wanted`], also loads the model with tract and
    /// runs it once. Blocks until the examination ends, at most for `limits.timeout` and a short moment.
    ///
    /// # Errors
    /// The file is not a readable model, or the examination exceeded a limit or failed. A model that tract
    /// cannot run is a result, not an error.
    fn examine(&self, model: &[u8], trial: Trial, limits: ExamineLimits) -> Result<Examined, ModelError>;
}

/// Whether a model is tested by running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Test with tract, for a model that tract will run.
    Wanted,
    /// Only read the file, for a model that another backend will run. The process of that backend tests the
    /// model.
    NotWanted,
}

/// Limits for the examination of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExamineLimits {
    /// Time from the start to the end of the examination.
    pub timeout: Duration,
    /// Bytes of memory.
    pub memory: u64,
}

impl ExamineLimits {
    /// The limits for a file of this size.
    ///
    /// For 256 MiB of weights, the highest memory use of tract was measured as 4.1 times the weights (the
    /// file, its parsed form, the constants, and the packed constants for its kernels). The examination took
    /// 2.5 s on a busy machine. The rest of the memory limit is room for constants that tract computes.
    #[must_use]
    pub fn of_file(bytes: u64) -> Self {
        Self { timeout: Duration::from_secs(60), memory: bytes.saturating_mul(5).saturating_add(512 << 20) }
    }
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examined {
    /// The description in the file.
    pub inspection: ModelInspection,
    /// The result of the test. `None` if no test was requested.
    pub tried: Option<Tried>,
}

/// The result of testing a model with tract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tried {
    /// The model cannot be loaded, or does not run.
    Refused(String),
    /// The model can be loaded.
    Loaded {
        /// Time to load the model.
        load: Duration,
        /// Time to run one row of zeros. `None` if the model has free dimensions beside its rows and does not
        /// run with size 1 for each of them, because then valid sizes are unknown.
        run: Option<Duration>,
        /// Whether the graph shows that rows are independent, and random rows gave the same results alone and
        /// in a batch.
        takes_rows: bool,
        /// The peak memory of the process, including the program itself, in bytes.
        memory: Option<u64>,
    },
}

impl Examined {
    /// The facts of the model, if it can be used.
    ///
    /// # Errors
    /// [`ModelError::Refused`]: the model was tested and does not run.
    pub fn accepted(self) -> Result<ModelFacts, ModelError> {
        match self.tried {
            Some(Tried::Refused(reason)) => Err(ModelError::Refused(reason)),
            Some(Tried::Loaded { .. }) | None => Ok(self.inspection.facts),
        }
    }
}

/// Examines a model in the process of an [`ExamineElsewhere`]. `memory` returns the peak memory of the
/// process.
///
/// # Errors
/// The file is not a readable model.
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

/// Time to load, time to run a row, and whether the model accepts several rows.
#[cfg(not(feature = "tract"))]
fn try_out(_model: &[u8]) -> Result<(Duration, Option<Duration>, bool), InferenceError> {
    Err(InferenceError::Unsupported("this sage-host was built without tract".to_owned()))
}
