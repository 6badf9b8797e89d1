use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use sage_runtime::engine::SavepointName;

use crate::printer::OutputFormat;
use crate::values::duration;

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
    /// Take a savepoint of the run that has a folder: an epoch that is kept until somebody deletes it.
    Savepoint(SavepointStateArguments),
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
The run takes the savepoint at its next look, within a fifth of a second, and records flow on
while it is written. It lies in FOLDER/savepoints/NAME, and a run goes on from it with
--from FOLDER/savepoints/NAME. `state inspect` and `state verify` take it like a folder.

Examples:
  sage-host state savepoint state
  sage-host state savepoint state --name before-upgrade --stop")]
pub(super) struct SavepointStateArguments {
    /// The folder of checkpoints
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// Name of the savepoint: letters, digits, - and _ [default: the time]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<SavepointName>,
    /// Stop the run behind the savepoint
    #[arg(long)]
    pub(super) stop: bool,
    /// Longest wait for the savepoint: 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(super) timeout: Duration,
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
