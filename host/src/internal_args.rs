use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::job::{CheckJobArguments, JobArguments};

/// The command line of a process that this program or its packaging starts.
///
/// The commands have a parser of their own. Therefore help, completions, man pages and the suggestions for a
/// mistyped command never contain them.
#[derive(Debug, Parser)]
#[command(name = "sage-host", disable_help_subcommand = true)]
pub(super) struct InternalArguments {
    #[command(subcommand)]
    pub(super) command: InternalCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum InternalCommand {
    /// Run as the process of one instance. Started by `run --isolation process`, with its setup on standard
    /// input.
    Worker,
    /// Run as the process of one device. Started by a process that runs models on it, with its setup on
    /// standard input.
    Device,
    /// Try actions that a worker must not be able to do. Started by `doctor`, with its setup on standard
    /// input.
    Canary,
    /// Run as the one-shot process that compiles one component. Started by a process that loads components,
    /// with the component on standard input.
    Compile(CompileArguments),
    /// Run as the one-shot process that inspects one model. Started by a process that loads models, with the
    /// model on standard input.
    ExamineModel(ExamineModelArguments),
    /// Run as the process of one job. Started by a server, with the job's lock on standard input.
    Job(JobArguments),
    /// Check a revision of a job and write what was found. Started by a server.
    CheckJob(CheckJobArguments),
    /// Write a man page for the program and for each of its commands. Started by `make install` and
    /// `make dist`.
    Man(ManArguments),
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Folder of the pages; made if it does not exist
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct CompileArguments {
    /// Bytes of memory that the process may use
    pub(super) memory: u64,
    /// Seconds of CPU time that the process may use
    pub(super) cpu_seconds: u64,
    /// Number of the parent process
    pub(super) parent: u32,
}

#[derive(Debug, Args)]
pub(super) struct ExamineModelArguments {
    /// Bytes of memory that the process may use
    pub(super) memory: u64,
    /// Seconds of CPU time that the process may use
    pub(super) cpu_seconds: u64,
    /// Number of the parent process
    pub(super) parent: u32,
    /// Load the model with tract and run it once
    #[arg(long)]
    pub(super) try_out: bool,
}
