use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct JobArguments {
    /// Folder of the job
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckJobArguments {
    /// Folder of the job
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// Number of the revision
    #[arg(value_name = "REVISION")]
    pub(super) revision: u32,
}
