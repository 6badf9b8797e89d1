use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::access_args::{AuditArguments, ContextCommand, TenantCommand, TokenCommand};
use super::component_args::{ComponentsArguments, DeployArguments};
use super::revision_args::{DiffArguments, RevisionsArguments, RollbackArguments, RolloutArguments};
use super::secret_args::SecretCommand;
use super::server_args::ServerArguments;
use crate::message_format::MessageFormat;
use crate::printer::OutputFormat;
use crate::values::{duration, metrics_address};

/// The server and its clients.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Run a server: it takes pipelines as jobs, queues them, and runs each in a process of its own.
    Serve(ServeArguments),
    /// Send a pipeline to the server.
    Submit(SubmitArguments),
    /// List the server's jobs, and why each waits.
    Ps(PsArguments),
    /// Print the log of a job.
    Logs(LogsArguments),
    /// Print the changes of jobs' states.
    Events(EventsArguments),
    /// Stop a job: drain it, and abort it if that takes too long.
    Stop(StopArguments),
    /// Take a savepoint of a job: an epoch that is kept until somebody deletes it.
    Savepoint(SavepointArguments),
    /// Start a job again that has ended.
    #[command(after_help = "Example:\n  sage-host start celsius")]
    Start(JobsArguments),
    /// Drain a job and start it again.
    #[command(after_help = "Example:\n  sage-host restart celsius")]
    Restart(JobsArguments),
    /// Remove jobs that have ended, with their logs.
    #[command(after_help = "Example:\n  sage-host rm celsius flights")]
    Rm(JobsArguments),
    /// Change a job to another revision of its pipeline, and back by itself if that fails.
    Rollout(RolloutArguments),
    /// Change a job back to an earlier revision.
    Rollback(RollbackArguments),
    /// List the revisions of a job: who submitted each, when and why.
    Revisions(RevisionsArguments),
    /// Show what differs between two revisions of a job.
    Diff(DiffArguments),
    /// Send a component or a model to the server, with its signature.
    Deploy(DeployArguments),
    /// List the components and models that the server has, and who signed each.
    Components(ComponentsArguments),
    /// Show what the operators of running jobs do.
    Top(TopArguments),
    /// Print each instance's requests, effective limits and mechanisms of a job.
    Explain(ExplainArguments),
    /// Make, list and remove the tokens that open the server over TCP.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Keep secrets with the server, for the configuration of operators.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Show tenants: their ceilings, and what they use.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Print who changed what on the server.
    Audit(AuditArguments),
    /// Keep servers under names, with their tokens.
    #[command(subcommand)]
    Context(ContextCommand),
}

impl RemoteCommand {
    /// The format of the command's result.
    pub(crate) fn output(&self) -> OutputFormat {
        match self {
            Self::Serve(arguments) => arguments.output,
            Self::Submit(arguments) => arguments.server.output,
            Self::Ps(arguments) => arguments.server.output,
            Self::Logs(arguments) => arguments.server.output,
            Self::Events(arguments) => arguments.server.output,
            Self::Stop(arguments) => arguments.server.output,
            Self::Savepoint(arguments) => arguments.server.output,
            Self::Start(arguments) | Self::Restart(arguments) | Self::Rm(arguments) => arguments.server.output,
            Self::Rollout(arguments) => arguments.server.output,
            Self::Rollback(arguments) => arguments.server.output,
            Self::Revisions(arguments) => arguments.server.output,
            Self::Diff(arguments) => arguments.server.output,
            Self::Deploy(arguments) => arguments.server.output,
            Self::Components(arguments) => arguments.server.output,
            Self::Top(arguments) => arguments.server.output,
            Self::Explain(arguments) => arguments.server.output,
            Self::Token(command) => command.output(),
            Self::Secret(command) => command.output(),
            Self::Tenant(command) => command.output(),
            Self::Audit(arguments) => arguments.server.output,
            Self::Context(command) => command.output(),
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing needs to be configured. The server belongs to the user who starts it: only this user and root
may use its socket. Over TCP everyone needs a token: `sage-host token new` makes one, and admin.token in the
state folder is the first one. Jobs are processes of their own, and go on when the server ends; the next server
adopts them. Signals: SIGINT and SIGTERM end the server, and --stop-jobs says what becomes of jobs.

Examples:
  sage-host serve
  sage-host serve --host host.toml --stop-jobs drain
  sage-host serve --listen off
  sage-host serve --listen 0.0.0.0:19001 --tls-cert cert.pem --tls-key key.pem --server-name sage.example
  sage-host serve --state /srv/jobs --output json"
)]
pub(crate) struct ServeArguments {
    /// Folder of jobs and components [default: /var/lib/sage-host for root, sage-host in XDG_STATE_HOME
    /// for others]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Socket for clients [default: serve.sock in --state DIR if that is given, otherwise
    /// /run/sage-host/serve.sock for root, sage-host/serve.sock in XDG_RUNTIME_DIR for others]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Address for clients with a token, over TCP: ADDRESS:PORT, or off. Port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:19001", value_parser = listening)]
    pub(crate) listen: Listen,
    /// Name of this server that requests over TCP may use, besides localhost and addresses; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Vec<String>,
    /// File with the certificate for TCP, and those of its authorities, in PEM: TCP is encrypted then. It is read again
    /// when it changes [default: tls_cert in [serve] of the host file]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// File with the certificate's private key, in PEM [default: tls_key in [serve] of the host file]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Listen for other machines without encryption: tokens and data can be read on the way
    #[arg(long)]
    pub(crate) insecure_bind: bool,
    /// Serve the API without the dashboard
    #[arg(long)]
    pub(crate) no_dashboard: bool,
    /// Resources that this host gives away (host.toml), for all jobs
    #[arg(long, value_name = "FILE")]
    pub(crate) host: Option<PathBuf>,
    /// What becomes of running jobs when the server is stopped [default: stop_jobs in [serve] of the host file,
    /// otherwise leave]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) stop_jobs: Option<StopJobs>,
    /// Lowest level of messages shown on stderr: error, warn, info, debug, trace, off
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LevelFilter,
    /// Format of messages on stderr: text, or a JSON object per line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: MessageFormat,
    /// Format of the line that says where the server listens: text on stderr, or one JSON object on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

/// Where a server listens for TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nowhere.
    Off,
    /// At an address.
    At(SocketAddr),
}

fn listening(written: &str) -> Result<Listen, String> {
    if written == "off" { Ok(Listen::Off) } else { metrics_address(written).map(Listen::At) }
}

/// What becomes of running jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StopJobs {
    /// They go on, and the next server adopts them.
    Leave,
    /// They are drained, and the server waits for them; a second signal leaves them.
    Drain,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The components and models that the pipeline names are sent too, if the server does not have them.
Relative paths of data lead where they lead with `run`: from the folder of the pipeline file.

  --restart  never      no further attempt
             crash      after a crash of the job's process
             failure    after a crash, and after a failure of the pipeline
  Without it: after a crash, but never if another attempt loses state (see `class` of the job).

Examples:
  sage-host submit pipeline.toml
  sage-host submit pipeline.toml --name celsius --wait done
  sage-host submit pipeline.toml --dry-run"
)]
pub(crate) struct SubmitArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(crate) pipeline: PathBuf,
    /// Name of the job: a-z, 0-9 and - [default: like the pipeline's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Wait until the job runs, or until it has ended, and then exit with its exit code
    #[arg(long, value_enum, value_name = "UNTIL")]
    pub(crate) wait: Option<WaitUntil>,
    /// Only check the pipeline, and show what each instance would get
    #[arg(long, conflicts_with_all = ["wait", "name"])]
    pub(crate) dry_run: bool,
    /// When another attempt follows an attempt that you did not end
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) restart: Option<Restart>,
    /// Place in which instances run
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) isolation: Option<crate::isolation::Isolation>,
    /// Time limit of a drain, after which the job is aborted: 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(crate) drain_timeout: Duration,
    /// A word about the job: KEY=VALUE; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// How long `submit` waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitUntil {
    /// Until records flow, or could.
    Running,
    /// Until the job has ended.
    Done,
}

/// When another attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restart {
    /// Never.
    Never,
    /// After a crash of the job's process.
    Crash,
    /// After a crash, and after a failure of the pipeline.
    Failure,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sage-host ps
  sage-host ps -a --output json | jq '.jobs[] | select(.state == \"failed\") | .name'")]
pub(crate) struct PsArguments {
    /// Jobs that have ended, too
    #[arg(long, short)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The log has what operators and the host say, over all attempts, and the records of sinks for standard
output. The newest 8 MiB are kept.

Examples:
  sage-host logs celsius -f
  sage-host logs celsius --level warn --operator parse"
)]
pub(crate) struct LogsArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Go on until the job has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Lowest level: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) level: Option<String>,
    /// Only what this operator said
    #[arg(long, value_name = "OPERATOR")]
    pub(crate) operator: Option<String>,
    /// Only lines after this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) since: Option<u64>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sage-host events -f
  sage-host events celsius --output json")]
pub(crate) struct EventsArguments {
    /// Name of the job [default: all jobs]
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Go on until a signal
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) since: Option<u64>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A drain finishes what was read. After the timeout the job is aborted, and if that does not end it, it
is killed. The command returns when the job has ended.

Examples:
  sage-host stop celsius
  sage-host stop celsius --timeout 5m
  sage-host stop celsius --savepoint before-upgrade
  sage-host stop celsius --abort"
)]
pub(crate) struct StopArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Stop at once: what was read is not finished
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) abort: bool,
    /// Take a savepoint, and stop behind it; without one nothing is stopped [default: the time as its name]
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with_all = ["abort", "timeout"])]
    pub(crate) savepoint: Option<Option<String>>,
    /// Time limit of the drain [default: the job's --drain-timeout]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The job's pipeline needs a checkpoint folder; savepoints lie in its savepoints/. The records go on
while a savepoint is written. A run goes on from it with --from FOLDER/savepoints/NAME.

Examples:
  sage-host savepoint celsius
  sage-host savepoint celsius --name before-upgrade"
)]
pub(crate) struct SavepointArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Name of the savepoint: letters, digits, - and _ [default: the time]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArguments {
    /// Names of jobs
    #[arg(value_name = "JOB", required = true)]
    pub(crate) jobs: Vec<String>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "REC/S is what a stage took in each second, and of a source what it gave. BUSY is the part of its
instances' time that it computed. QUEUE is the filled part of the room in front of it. P99 is the time
from source to sink of 99 of 100 records.

Examples:
  sage-host top
  sage-host top celsius --interval 10s"
)]
pub(crate) struct TopArguments {
    /// Name of the job [default: all that run]
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Time between the two looks from which rates are computed
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s")]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host explain celsius")]
pub(crate) struct ExplainArguments {
    /// Name of the job
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}
