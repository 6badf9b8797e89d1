use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::ExitCode;
use super::printer::OutputFormat;
use super::values::{duration, metrics_address};
use sage_plan::Kind;
use sage_plan::config::TenantName;

const EXAMPLES: &str = "\
Examples:
  sage-host new celsius --kind map        a crate with an operator, its test and a pipeline
  sage-host build celsius                 compile it to a component
  sage-host run celsius/pipeline.toml     run it
  sage-host run pipeline.toml --explain   what each instance gets and how it is enforced";

/// Runs streaming pipelines of WebAssembly operators, each instance with exactly the resources it was given.
#[derive(Debug, Parser)]
#[command(name = "sage-host", version, max_term_width = 100)]
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
    /// Say what a component is (kind, contract version, imports, exports, size, memory), or a model (inputs, outputs, types, shapes).
    Inspect(InspectArguments),
    /// Compile an operator crate to a component.
    Build(BuildArguments),
    /// Make a crate with an operator, its native test and a pipeline that runs it.
    New(NewArguments),
    /// Run an operator crate's tests natively, without WebAssembly.
    Test(TestArguments),
    /// Print a script that completes this program's words in a shell: bash, zsh, fish, elvish or powershell.
    Completions(CompletionsArguments),
    /// Try on this machine everything that `run --isolation process` promises, and say what to do about what is missing.
    Doctor(DoctorArguments),
    /// List what models run on, and who holds what of it; take a lease away.
    Devices(DevicesArguments),
    /// List the compiled components that are kept, say what they come to, or remove them.
    Cache(CacheArguments),
    /// Be the process of one instance. Started by `run --isolation process`, with an order on standard input.
    #[command(hide = true)]
    Worker,
    /// Be the process of one device. Started by whatever runs models on it, with an order on standard input.
    #[command(hide = true)]
    Device,
    /// Try what a worker must not be able to do. Started by `doctor`, with an order on standard input.
    #[command(hide = true)]
    Canary,
    /// Be the process in which one component is compiled. Started by whatever loads components, with one on standard input.
    #[command(hide = true)]
    Compile(CompileArguments),
    /// Be the process in which one model is looked at. Started by whatever loads models, with one on standard input.
    #[command(hide = true)]
    ExamineModel(ExamineModelArguments),
}

impl Command {
    /// Whether it is a process that another one of this program starts, and holds to limits of its own.
    pub(super) fn is_internal(&self) -> bool {
        matches!(self, Self::Worker | Self::Device | Self::Canary | Self::Compile(_) | Self::ExamineModel(_))
    }

    /// How the command's result is to be written.
    pub(super) fn output(&self) -> OutputFormat {
        match self {
            Self::Run(arguments) => arguments.output,
            Self::Devices(arguments) => arguments.output,
            Self::Cache(arguments) => arguments.output,
            Self::Validate(arguments) => arguments.output,
            Self::Inspect(arguments) => arguments.output,
            Self::Build(arguments) => arguments.output,
            Self::Doctor(arguments) => arguments.output,
            Self::New(_)
            | Self::Test(_)
            | Self::Completions(_)
            | Self::Worker
            | Self::Device
            | Self::Canary
            | Self::Compile(_)
            | Self::ExamineModel(_) => OutputFormat::Text,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CompileArguments {
    /// Bytes of memory that it may take
    pub(super) memory: u64,
    /// Seconds of CPU time that it may take
    pub(super) cpu_seconds: u64,
    /// The process that started it
    pub(super) parent: u32,
}

#[derive(Debug, Args)]
pub(super) struct ExamineModelArguments {
    /// Bytes of memory that it may take
    pub(super) memory: u64,
    /// Seconds of CPU time that it may take
    pub(super) cpu_seconds: u64,
    /// The process that started it
    pub(super) parent: u32,
    /// Load it with tract and run it once
    #[arg(long)]
    pub(super) try_out: bool,
}

/// Where an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Isolation {
    /// In this process, each in a sandbox and threads of its own.
    Thread,
    /// Each in a process of its own, in a control group that holds it to its resources: the kernel kills what goes over, and
    /// nothing but that instance. `sage-host doctor` says what can be held here.
    Process,
}

#[derive(Debug, Args)]
#[command(after_help = format!("\
Examples:
  sage-host run examples/flights/pipeline.toml
  sage-host run pipeline.toml --explain
  sage-host run pipeline.toml --metrics 127.0.0.1:9464
  sage-host run pipeline.toml --output json --quiet | tail -n 1 | jq .

Signals: the first SIGINT, SIGTERM or SIGHUP drains: sources stop and what they had read is
finished. For sources without an end of their own that is a complete run (exit 0), for others it is
cut short (exit 130): their output keeps the name PATH.partial. A second one, or the end of
--drain-timeout, stops at once (exit 130). The summary says which sources were stopped early.

{}", ExitCode::help()))]
pub(super) struct RunArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(super) pipeline: PathBuf,
    /// Print what each instance asked for, what it gets and by which mechanism; run nothing
    #[arg(long)]
    pub(super) explain: bool,
    /// Where instances live
    #[arg(long, value_enum, default_value_t = Isolation::Thread, value_name = "WHERE")]
    pub(super) isolation: Isolation,
    /// If the pipeline would fit but for others that run now, wait up to DURATION for them: 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "explain")]
    pub(super) wait: Option<Duration>,
    /// Serve Prometheus metrics at http://HOST:PORT/metrics while the pipeline runs; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", value_parser = metrics_address)]
    pub(super) metrics: Option<SocketAddr>,
    /// How long a drain may take before everything stops at once: 30s, 5m; an output that takes nothing for a third of it ends it sooner
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(super) drain_timeout: Duration,
    /// How the summary is written: text on stderr, or one JSON object as the last line of stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
    /// No progress and no text summary
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// The least important messages shown on stderr: error, warn, info, debug, trace, off
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(super) log_level: LevelFilter,
    #[command(flatten)]
    pub(super) machine: MachineArguments,
}

/// What this machine is taken to have.
#[derive(Debug, Args)]
pub(super) struct MachineArguments {
    /// Run even if a limit cannot be enforced here; the ledger says "none" for it
    #[arg(long)]
    pub(super) allow_unenforced: bool,
    /// Run even if more is asked for than there is: CPUs are then shared, not leased
    #[arg(long)]
    pub(super) overcommit: bool,
    /// Take hard limits only: refuse (exit code 3) where one is not, and fail (exit code 4) when one ceases to be
    #[arg(long, conflicts_with_all = ["allow_unenforced", "overcommit"])]
    pub(super) strict: bool,
    /// On whose behalf: counts towards [tenant.NAME] of host.toml, which must be there if any tenant is
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(super) tenant: TenantName,
    /// What this host gives away and to whom: CPUs, memory, custom resources, tenants (host.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) host: Option<PathBuf>,
    /// Where CPU leases and claims are kept; hosts that share a machine share it
    #[arg(long, value_name = "DIR")]
    pub(super) lease_folder: Option<PathBuf>,
    /// Where compiled components are kept; only you may be able to write there
    #[arg(long, value_name = "DIR")]
    pub(super) cache_folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Every error is reported in one go, with file, line and a hint.

Example:
  sage-host validate pipeline.toml --output json")]
pub(super) struct ValidateArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(super) pipeline: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
    #[command(flatten)]
    pub(super) machine: MachineArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A model is read, loaded and run once in a locked-down process of its own, which is thrown away.

Examples:
  sage-host inspect target/wasm32-wasip2/release/celsius.wasm --output json | jq .kind
  sage-host inspect examples/file-types/magika.onnx"
)]
pub(super) struct InspectArguments {
    /// The component or ONNX model
    #[arg(value_name = "COMPONENT.wasm|MODEL.onnx")]
    pub(super) file: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Runs cargo build for wasm32-wasip2 with SIMD on, then checks that what came out is an operator.
What follows `--` goes to cargo.

Examples:
  sage-host build
  sage-host build operators/celsius -- --features fast
  sage-host build operators -- --target-dir /tmp/components"
)]
pub(super) struct BuildArguments {
    /// The crate or workspace
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,
    /// Build unoptimised, with debug info: quick to build, slow to run
    #[arg(long)]
    pub(super) debug: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
    /// Arguments for cargo
    #[arg(last = true, value_name = "CARGO ARGS")]
    pub(super) cargo: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each limit is set, broken on purpose, and the kernel's answer read; a locked-down process tries what
it must not; records go through a worker. That takes well under a second, takes nothing from running
pipelines and leaves nothing behind.

  hard         holds whatever an operator does
  cooperative  holds as long as everybody concerned behaves
  none         nothing holds it

Exits with 0 where all that process isolation promises is enforced, with 3 where something is not.

Examples:
  sage-host doctor
  sage-host doctor --host host.toml
  sage-host doctor --output json | jq '.examinations[] | select(.found != \"hard\")'
  systemd-run --user --scope -p Delegate=yes -- sage-host doctor"
)]
pub(super) struct DoctorArguments {
    /// Whose control groups and folders are tried (host.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) host: Option<PathBuf>,
    /// Where CPU leases and claims are kept
    #[arg(long, value_name = "DIR")]
    pub(super) lease_folder: Option<PathBuf>,
    /// Where compiled components are kept
    #[arg(long, value_name = "DIR")]
    pub(super) cache_folder: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Devices are those that host.toml declares ([[device]]) and, unless it says discover_devices = false,
the CUDA devices that the driver knows. An operator gets a part of one with resources = { num_gpus = 0.25 },
and only while its lease is held do its models run.

  exclusive  one lease at a time has all of it
  mig        a part of a GPU with processors, caches and memory of its own
  shared     leases take turns by share; nothing divides memory bandwidth between them

  held      work may start
  draining  taken away: nothing new starts, what runs has not ended yet
  busy      the lease is over, and the device's process has not let go of the device
  expired   its holder was stopped or hangs: others may have the share

Examples:
  sage-host devices
  sage-host devices --host host.toml
  sage-host devices --output json | jq '.devices[] | select(.serves_num_gpus)'
  sage-host devices revoke 7 --grace 10s"
)]
pub(super) struct DevicesArguments {
    #[command(subcommand)]
    pub(super) action: Option<DevicesAction>,
    /// What this host declares (host.toml)
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) host: Option<PathBuf>,
    /// Where leases and claims are kept; hosts that share a machine share it
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) lease_folder: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub(super) output: OutputFormat,
}

#[derive(Debug, Subcommand)]
pub(super) enum DevicesAction {
    /// Take a lease away from the run that holds it, and wait until its share is free.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Its guests get the error lease-lost from then on; the pipeline itself goes on. Whoever may write to the
lease folder may do this.

Exits with 0 when the share is free, with 2 where there is no such lease, with 3 where the share is not
free soon after the grace: it is as soon as what runs there ends.

Example:
  sage-host devices revoke 7 --grace 10s"
)]
pub(super) struct RevokeArguments {
    /// The lease, as `sage-host devices` lists it
    #[arg(value_name = "LEASE")]
    pub(super) token: u64,
    /// How long what runs may take to finish
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(super) grace: Duration,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A component is compiled once for each build of it; what was compiled is kept in this user's cache, with a
checksum, and loaded by later runs. What was not used for longest goes first when more than
max_cache_bytes (host.toml, 1GiB by default) are kept, and of one component file four builds stay.

Examples:
  sage-host cache list
  sage-host cache size --output json | jq .bytes
  sage-host cache clear --cache-folder /var/cache/sage-host"
)]
pub(super) struct CacheArguments {
    /// What to do
    #[arg(value_enum, default_value_t, value_name = "ACTION")]
    pub(super) action: CacheAction,
    /// Whose folder and bound (host.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) host: Option<PathBuf>,
    /// Where compiled components are kept
    #[arg(long, value_name = "DIR")]
    pub(super) cache_folder: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

/// What to do with the compiled components that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum CacheAction {
    /// Each of them: from which file, how large, when it was used last.
    #[default]
    List,
    /// What they come to.
    Size,
    /// Remove all of them; runs that need one compile it anew.
    Clear,
}

#[derive(Debug, Args)]
#[command(after_help = "Kinds:
  map       one record in, one out          key-by   gives each record a key
  filter    one record in, the same or none process  batches in, anything out, with keyed state
  flat-map  one record in, any number out   source   makes records       sink  takes records

Example:
  sage-host new celsius --kind map
  cd celsius && cargo test && sage-host build && sage-host run pipeline.toml")]
pub(super) struct NewArguments {
    /// The crate's name: letters, digits, - and _
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// What the operator does with records
    #[arg(long, value_name = "KIND", value_parser = kind_parser())]
    pub(super) kind: Kind,
    /// Where the crate's folder goes [default: NAME in the current folder]
    #[arg(long, value_name = "DIR")]
    pub(super) path: Option<PathBuf>,
    /// Use the guest SDK in this folder instead of writing a copy into the crate
    #[arg(long, value_name = "DIR")]
    pub(super) sdk: Option<PathBuf>,
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
#[command(after_help = "Runs cargo test in the crate; what follows `--` goes to cargo.

Example:
  sage-host test celsius -- --quiet")]
pub(super) struct TestArguments {
    /// The crate or workspace
    #[arg(value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,
    /// Arguments for cargo
    #[arg(last = true, value_name = "CARGO ARGS")]
    pub(super) cargo: Vec<String>,
}

fn kind_parser() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name))
        .try_map(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or("not a kind"))
}
