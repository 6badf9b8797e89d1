use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::ExitCode;
use super::infer_args::InferArguments;
use super::isolation::Isolation;
use super::message_format::MessageFormat;
use super::printer::OutputFormat;
use super::remote::RemoteCommand;
use super::state::StateArguments;
use super::values::{duration, metrics_address, start_from};
use super::version::long_version;
use sage_plan::Kind;
use sage_plan::config::TenantName;
use sage_runtime::engine::StartFrom;

const EXAMPLES: &str = "\
Examples:
  sage-host new celsius --kind map        a crate with an operator, its test and a pipeline
  sage-host build celsius                 compile it to a component
  sage-host run celsius/pipeline.toml     run it
  sage-host run pipeline.toml --explain   show each instance's limits and their enforcement";

/// Runs streaming pipelines of WebAssembly operators, each instance with exactly the resources it was given.
#[derive(Debug, Parser)]
#[command(name = "sage-host", version, long_version = long_version(), max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", ExitCode::help()))]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a pipeline to its end, or until a signal drains it.
    Run(RunArguments),
    /// Check a pipeline file, its components and whether this machine can run it; run nothing.
    Validate(ValidateArguments),
    /// Describe a component (kind, contract version, imports, exports, size, memory) or a model (inputs,
    /// outputs, types, shapes).
    Inspect(InspectArguments),
    /// Propose the schema of a source from the records of a file.
    Infer(InferArguments),
    /// Compile an operator crate, or pack a Python operator, to a component.
    Build(BuildArguments),
    /// Make a crate or a Python module with an operator, its native test and a pipeline that runs it.
    New(NewArguments),
    /// Run the tests of an operator crate or a Python operator natively, without WebAssembly.
    Test(TestArguments),
    #[command(flatten)]
    Remote(RemoteCommand),
    /// Print a completion script for a shell: bash, zsh, fish, elvish or powershell.
    Completions(CompletionsArguments),
    /// Print the JSON Schema of a pipeline file or of host.toml, for editors.
    Schema(SchemaArguments),
    /// Test every promise of `run --isolation process` on this machine, with advice for each failure.
    Doctor(DoctorArguments),
    /// List the devices that models run on and the leases on them; revoke a lease.
    Devices(DevicesArguments),
    /// List the cached compiled components, show their total size, or remove them.
    Cache(CacheArguments),
    /// List, check or remove the checkpoints in a folder.
    State(StateArguments),
}

impl Command {
    /// The format of the command's result.
    pub(super) fn output(&self) -> OutputFormat {
        match self {
            Self::Run(arguments) => arguments.output,
            Self::Devices(arguments) => arguments.output,
            Self::Cache(arguments) => arguments.output,
            Self::State(arguments) => arguments.output,
            Self::Validate(arguments) => arguments.output,
            Self::Inspect(arguments) => arguments.output,
            Self::Infer(arguments) => arguments.output,
            Self::Build(arguments) => arguments.output,
            Self::Doctor(arguments) => arguments.output,
            Self::Remote(command) => command.output(),
            Self::New(_) | Self::Test(_) | Self::Completions(_) | Self::Schema(_) => OutputFormat::Text,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = format!("\
Examples:
  sage-host run examples/flights/pipeline.toml
  sage-host run pipeline.toml --explain
  sage-host run pipeline.toml --metrics 127.0.0.1:9464
  sage-host run pipeline.toml --output json --quiet | tail -n 1 | jq .

Signals: the first SIGINT, SIGTERM or SIGHUP drains the run: sources stop, and records that were
already read are finished. For sources without an end of their own this is a complete run (exit 0).
For other sources the run is cut short (exit 130), and its output keeps the name PATH.partial.
A second signal, or the end of --drain-timeout, stops the run at once (exit 130). The summary shows
which sources were stopped early.

A pipeline with `checkpoint` saves its state while it runs. Killed or stopped in any way, the next run
goes on from the last epoch: with its keyed state, and with each record once in the output files. The
first signal saves one more epoch and stops behind it (exit 130).

{}", ExitCode::help()))]
pub(super) struct RunArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(super) pipeline: PathBuf,
    /// Print each instance's requests, effective limits and mechanisms; run nothing
    #[arg(long)]
    pub(super) explain: bool,
    /// Place in which instances run
    #[arg(long, value_enum, default_value_t = Isolation::Thread, value_name = "WHERE")]
    pub(super) isolation: Isolation,
    /// If the pipeline fits except for other running pipelines, wait up to DURATION for them: 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "explain")]
    pub(super) wait: Option<Duration>,
    /// Where a pipeline with `checkpoint` begins: `last` goes on behind the last epoch of a run that did not come to
    /// its end; `none` begins anew and drops the epochs; `epoch:N` goes on behind this epoch and drops the later ones;
    /// the folder of a savepoint goes on behind it
    #[arg(long, value_name = "WHERE", value_parser = start_from, default_value = "last", conflicts_with = "explain")]
    pub(super) from: StartFrom,
    /// Begin the stage NAME as if it were new, without what was saved of it: state, position, output; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "explain")]
    pub(super) drop_state: Vec<String>,
    /// Serve Prometheus metrics at http://HOST:PORT/metrics while the pipeline runs; port 0 picks a free port
    #[arg(long, value_name = "HOST:PORT", value_parser = metrics_address)]
    pub(super) metrics: Option<SocketAddr>,
    /// Time limit of a drain, after which everything stops at once: 30s, 5m; the stop comes sooner if an
    /// output accepts nothing for a third of this time
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(super) drain_timeout: Duration,
    /// Format of the summary: text on stderr, or one JSON object as the last line of stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
    /// Show no progress and no text summary
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Lowest level of messages shown on stderr: error, warn, info, debug, trace, off
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(super) log_level: LevelFilter,
    /// Format of messages on stderr: text, or one JSON object per line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) log_format: MessageFormat,
    #[command(flatten)]
    pub(super) machine: MachineArguments,
}

/// Options about the machine's resources.
#[derive(Debug, Args)]
pub(super) struct MachineArguments {
    /// Run even if a limit cannot be enforced here; the enforcement report shows "none" for it
    #[arg(long)]
    pub(super) allow_unenforced: bool,
    /// Run even if the pipeline asks for more than the machine has: CPUs are then shared, not leased
    #[arg(long)]
    pub(super) overcommit: bool,
    /// Accept hard limits only: refuse (exit code 3) if a limit is not hard, and fail (exit code 4) if one
    /// stops being hard
    #[arg(long, conflicts_with_all = ["allow_unenforced", "overcommit"])]
    pub(super) strict: bool,
    /// Tenant of the run: counts towards [tenant.NAME] of host.toml, which must exist if any tenant does
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(super) tenant: TenantName,
    /// Resources that this host gives away: CPUs, memory, custom resources, and the tenants that may use them
    /// (host.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) host: Option<PathBuf>,
    /// Folder of CPU leases and claims; hosts that share a machine share it
    #[arg(long, value_name = "DIR")]
    pub(super) lease_folder: Option<PathBuf>,
    /// Folder of compiled components; only you may have write access
    #[arg(long, value_name = "DIR")]
    pub(super) cache_folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "All errors are reported at once, with file, line and a hint.

Examples:
  sage-host validate pipeline.toml --output json
  sage-host validate pipeline.toml --schema")]
pub(super) struct ValidateArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(super) pipeline: PathBuf,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
    /// Print the fields of the records on every edge, with their types
    #[arg(long)]
    pub(super) schema: bool,
    #[command(flatten)]
    pub(super) machine: MachineArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "A model is read, loaded and run once in a locked-down, one-shot process.

Examples:
  sage-host inspect target/wasm32-wasip2/release/celsius.wasm --output json | jq .kind
  sage-host inspect examples/file-types/magika.onnx")]
pub(super) struct InspectArguments {
    /// The component or ONNX model
    #[arg(value_name = "COMPONENT.wasm|MODEL.onnx")]
    pub(super) file: PathBuf,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "Runs cargo build for wasm32-wasip2 with SIMD on, then checks that the result is an operator.
Arguments after `--` go to cargo.

Examples:
  sage-host build
  sage-host build operators/celsius -- --features fast
  sage-host build operators -- --target-dir /tmp/components")]
pub(super) struct BuildArguments {
    /// The crate or workspace, or the folder of a Python operator
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,
    /// Build unoptimised, with debug info: quick to build, slow to run
    #[arg(long)]
    pub(super) debug: bool,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
    /// Arguments for cargo
    #[arg(last = true, value_name = "CARGO ARGS")]
    pub(super) cargo: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each limit is set and then exceeded on purpose, and the kernel's reaction is checked; a locked-down
process tries forbidden actions; records go through a worker. All of this takes well under a second,
takes nothing from running pipelines and leaves nothing behind.

  hard         holds regardless of the operator's behavior
  cooperative  holds as long as all participants behave
  none         not enforced

Exits with 0 if every promise of process isolation is enforced, with 3 if one is not.

Examples:
  sage-host doctor
  sage-host doctor --host host.toml
  sage-host doctor --output json | jq '.examinations[] | select(.found != \"hard\")'
  systemd-run --user --scope -p Delegate=yes -- sage-host doctor"
)]
pub(super) struct DoctorArguments {
    /// Settings with the control groups and folders to test (host.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) host: Option<PathBuf>,
    /// Folder of CPU leases and claims
    #[arg(long, value_name = "DIR")]
    pub(super) lease_folder: Option<PathBuf>,
    /// Folder of compiled components
    #[arg(long, value_name = "DIR")]
    pub(super) cache_folder: Option<PathBuf>,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Devices are declared in host.toml ([[device]]). Unless it contains discover_devices = false, the
CUDA devices of the driver are added. An operator gets a part of a device with
resources = { num_gpus = 0.25 }, and its models run only while its lease is held.

  exclusive  one lease at a time has the whole device
  mig        a part of a GPU with processors, caches and memory of its own
  shared     leases take turns by share; memory bandwidth is not divided between them

  held      work may start
  draining  being revoked: no new work starts, and running work has not ended yet
  busy      the lease is over, and the device's process still uses the device
  expired   the holder was stopped or hangs: others may have the share

Examples:
  sage-host devices
  sage-host devices --host host.toml
  sage-host devices --output json | jq '.devices[] | select(.serves_num_gpus)'
  sage-host devices revoke 7 --grace 10s"
)]
pub(super) struct DevicesArguments {
    #[command(subcommand)]
    pub(super) action: Option<DevicesAction>,
    /// Settings of this host (host.toml)
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) host: Option<PathBuf>,
    /// Folder of leases and claims; hosts that share a machine share it
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) lease_folder: Option<PathBuf>,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub(super) output: OutputFormat,
}

#[derive(Debug, Subcommand)]
pub(super) enum DevicesAction {
    /// Revoke a lease, and wait until its share is free.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "After a revocation, the lease's guests get the error lease-lost, and the pipeline itself continues.
Only root and the user of the run can revoke its leases.

Exits with 0 if the share is free, with 2 if there is no such lease, and with 3 if the share is not
free soon after the grace period: it is free as soon as the running work ends.

Example:
  sage-host devices revoke 7 --grace 10s"
)]
pub(super) struct RevokeArguments {
    /// Number of the lease, as listed by `sage-host devices`
    #[arg(value_name = "LEASE")]
    pub(super) token: u64,
    /// Grace period in which running work may finish
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(super) grace: Duration,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each build of a component is compiled once. The result is kept in this user's cache with a checksum,
and later runs load it. If the cache exceeds max_cache_bytes (host.toml, 1GiB by default), the
entries that were unused for longest are removed. At most four builds of a component file are kept.

Examples:
  sage-host cache list
  sage-host cache size --output json | jq .bytes
  sage-host cache clear --cache-folder /var/cache/sage-host"
)]
pub(super) struct CacheArguments {
    /// The action
    #[arg(value_enum, default_value_t, value_name = "ACTION")]
    pub(super) action: CacheAction,
    /// Settings with the cache's folder and size limit (host.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) host: Option<PathBuf>,
    /// Folder of compiled components
    #[arg(long, value_name = "DIR")]
    pub(super) cache_folder: Option<PathBuf>,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

/// An action on the cache of compiled components.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum CacheAction {
    /// List each component with its file, its size and its last use.
    #[default]
    List,
    /// Show the total size.
    Size,
    /// Remove all components; a run that needs one compiles it again.
    Clear,
}

#[derive(Debug, Args)]
#[command(after_help = "Kinds:
  map       one record in, one out          key-by   gives each record a key
  filter    one record in, the same or none process  batches in, anything out, with keyed state
  flat-map  one record in, any number out   window   sums up windows of event time
  source    makes records                   sink     takes records

Example:
  sage-host new celsius --kind map
  cd celsius && cargo test && sage-host build && sage-host run pipeline.toml
  sage-host new celsius --kind map --lang python")]
pub(super) struct NewArguments {
    /// The crate's name: letters, digits, - and _
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Kind of the operator
    #[arg(long, value_name = "KIND", value_parser = kind_parser())]
    pub(super) kind: Kind,
    /// Language of the operator
    #[arg(long, value_enum, default_value_t = Language::Rust, value_name = "LANGUAGE")]
    pub(super) lang: Language,
    /// Folder of the new crate [default: NAME in the current folder]
    #[arg(long, value_name = "DIR")]
    pub(super) path: Option<PathBuf>,
    /// Use the guest SDK in this folder instead of the SDK that belongs to this program
    #[arg(long, value_name = "DIR")]
    pub(super) sdk: Option<PathBuf>,
}

/// A language in which `new` writes an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// A crate, compiled by cargo.
    Rust,
    /// A module, packed by componentize-py.
    Python,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sage-host completions bash > ~/.local/share/bash-completion/completions/sage-host
  sage-host completions zsh > ~/.zfunc/_sage-host
  sage-host completions fish > ~/.config/fish/completions/sage-host.fish")]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Editors with Taplo read the schema that the first line of a file names:
  sage-host schema pipeline > pipeline.schema.json
  #:schema pipeline.schema.json        as the first line of pipeline.toml")]
pub(super) struct SchemaArguments {
    /// The file that the schema describes
    #[arg(value_enum, value_name = "FILE")]
    pub(super) file: SchemaFile,
}

/// A file with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaFile {
    /// A pipeline file
    Pipeline,
    /// host.toml
    Host,
}

#[derive(Debug, Args)]
#[command(after_help = "Runs cargo test in the crate; arguments after `--` go to cargo.

Example:
  sage-host test celsius -- --quiet")]
pub(super) struct TestArguments {
    /// The crate or workspace, or the folder of a Python operator
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,
    /// Arguments for cargo, or for pytest
    #[arg(last = true, value_name = "ARGS")]
    pub(super) cargo: Vec<String>,
}

fn kind_parser() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name))
        .try_map(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or("not a kind"))
}
