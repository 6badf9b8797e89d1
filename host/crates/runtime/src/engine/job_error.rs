use std::path::PathBuf;

use thiserror::Error;

use super::error::RunError;
use sage_admission::Refusal;
use sage_machine::{PlainFileError, ResourceError};
use sage_models::ModelError;
use sage_plan::config::Diagnostics;
use sage_sandbox::LoadError;

/// The reason why a pipeline does not start.
#[derive(Debug, Error)]
pub enum JobError {
    /// A file cannot be read, or is not a regular file.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        cause: PlainFileError,
    },
    /// Invalid files, with all their errors.
    #[error("{0}")]
    Invalid(#[from] Diagnostics),
    /// A component cannot be used for its stage.
    #[error("\"{stage}\": {error}")]
    Component {
        /// The name of the stage.
        stage: String,
        /// The reason.
        error: LoadError,
    },
    /// A model cannot be used.
    #[error("model \"{model}\" ({path}): {error}", path = .path.display())]
    Model {
        /// The name of the model.
        model: String,
        /// The file of the model.
        path: PathBuf,
        /// The reason.
        error: Box<ModelError>,
    },
    /// The engine or its cache cannot be used.
    #[error(transparent)]
    Sandbox(#[from] LoadError),
    /// The machine lacks a resource that the pipeline asks for, or cannot enforce a limit.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The resources of the machine cannot be determined.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// The pipeline was admitted, and its start failed.
    #[error(transparent)]
    Run(#[from] RunError),
}
