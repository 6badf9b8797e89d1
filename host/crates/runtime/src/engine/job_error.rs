use std::path::PathBuf;

use thiserror::Error;

use super::error::RunError;
use sage_admission::Refusal;
use sage_machine::{PlainFileError, ResourceError};
use sage_models::ModelError;
use sage_plan::config::Diagnostics;
use sage_sandbox::LoadError;

/// Why a pipeline does not start.
#[derive(Debug, Error)]
pub enum JobError {
    /// A file cannot be read, or is nothing to read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        cause: PlainFileError,
    },
    /// Files that are wrong, every error of them.
    #[error("{0}")]
    Invalid(#[from] Diagnostics),
    /// A component cannot be used for its stage.
    #[error("\"{stage}\": {error}")]
    Component {
        /// Which stage.
        stage: String,
        /// Why not.
        error: LoadError,
    },
    /// A model cannot be used.
    #[error("model \"{model}\" ({path}): {error}", path = .path.display())]
    Model {
        /// Which.
        model: String,
        /// Its file.
        path: PathBuf,
        /// Why not.
        error: Box<ModelError>,
    },
    /// The engine or its cache cannot be used.
    #[error(transparent)]
    Sandbox(#[from] LoadError),
    /// The machine does not have what the pipeline wants, or nothing here can enforce it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// What the machine has cannot be found out.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// It was granted, and fails in start.
    #[error(transparent)]
    Run(#[from] RunError),
}
