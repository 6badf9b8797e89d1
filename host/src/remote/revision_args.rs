use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::server_args::ServerArguments;
use crate::values::duration;

#[derive(Debug, Args)]
#[command(
    after_help = "The server checks the new revision while the job goes on. Then the job stops at an epoch, if both
revisions have the same `checkpoint` folder, and the new revision goes on from there. Without checkpoints it begins
anew, which a running job does only with --yes. If the new revision is refused, or fails within the time of --watch,
the revision before comes back by itself. The command returns when it is known which of them is in force.

Examples:
  sage-host rollout celsius pipeline.toml --note \"one decimal more\"
  sage-host rollout celsius pipeline.toml --watch 5m
  sage-host rollout celsius pipeline.toml --if-revision 3"
)]
pub(crate) struct RolloutArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(super) job: String,
    /// The pipeline file of the new revision
    #[arg(value_name = "PIPELINE.toml")]
    pub(super) pipeline: PathBuf,
    /// Reason for the change, for those who read the list of revisions
    #[arg(long, value_name = "WORDS")]
    pub(super) note: Option<String>,
    /// Place in which instances run
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(super) isolation: Option<crate::isolation::Isolation>,
    #[command(flatten)]
    pub(super) terms: RolloutTerms,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "The components and the pipeline file of the earlier revision come back. See `rollout` for how.

Examples:
  sage-host rollback celsius
  sage-host rollback celsius --to 3")]
pub(crate) struct RollbackArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(super) job: String,
    /// Number of the revision [default: the one before the one in force]
    #[arg(long, value_name = "REVISION")]
    pub(super) to: Option<u32>,
    #[command(flatten)]
    pub(super) terms: RolloutTerms,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

/// How a revision comes into force.
#[derive(Debug, Args)]
pub(super) struct RolloutTerms {
    /// Time for which the new revision must run without a failure
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(super) watch: Duration,
    /// Begin anew, if the new revision does not go on from a checkpoint
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Change the job only if this revision is in force
    #[arg(long, value_name = "REVISION")]
    pub(super) if_revision: Option<u32>,
    /// Return as soon as the server has taken the change
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host revisions celsius")]
pub(crate) struct RevisionsArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(super) job: String,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sage-host diff celsius
  sage-host diff celsius 2 5")]
pub(crate) struct DiffArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(super) job: String,
    /// The first revision [default: the one before the second]
    #[arg(value_name = "FROM")]
    pub(super) from: Option<u32>,
    /// The second revision [default: the one in force]
    #[arg(value_name = "TO")]
    pub(super) to: Option<u32>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}
