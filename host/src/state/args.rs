use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::printer::OutputFormat;

#[derive(Debug, Args)]
#[command(after_help = "\
A pipeline with checkpoint = { folder = \"state\" } writes an epoch to that folder at every
interval: states, positions of sources, and what its sinks have written. A run goes on from
an epoch.

Examples:
  sage-host state inspect state
  sage-host state verify state && cp -a state backup
  sage-host state rm state")]
pub(crate) struct StateArguments {
    #[command(subcommand)]
    pub(super) action: StateAction,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, Subcommand)]
pub(super) enum StateAction {
    /// List the epochs of a folder, and what the last one holds of each stage.
    Inspect(InspectStateArguments),
    /// Read and check every byte of a folder.
    Verify(VerifyStateArguments),
    /// Remove the checkpoints of a folder.
    Rm(RemoveStateArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A run may have the folder open: nothing is changed, and nobody waits. With --output json,
every epoch has its stages and its manifest.

Examples:
  sage-host state inspect state
  sage-host state inspect state --output json | jq '.epochs[-1].stages'")]
pub(super) struct InspectStateArguments {
    /// The folder of checkpoints
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 0 if all is whole, and with 2 if something is damaged. A run may have the folder open.

Example:
  sage-host state verify state")]
pub(super) struct VerifyStateArguments {
    /// The folder of checkpoints
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Only files of checkpoints are removed, and the folder if it is empty then. Checkpoints of a
run that has not ended, and damaged ones, are only removed with --force. Those of a run that
lives are never removed.

Examples:
  sage-host state rm state
  sage-host state rm state --force")]
pub(super) struct RemoveStateArguments {
    /// The folder of checkpoints
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// Remove checkpoints that a run could still go on from
    #[arg(long)]
    pub(super) force: bool,
}
