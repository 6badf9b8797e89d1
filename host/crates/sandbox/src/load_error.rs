use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::contract::{PACKAGE, WIT_VERSION};
use super::failure::{Failure, FailureCode};
use sage_plan::config::format_size;
use sage_text::plain_line;

/// Why a component cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read component {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What lies under the path is no regular file.
    #[error("component {path} is {kind}, not a regular file")]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file is larger than this host compiles.
    #[error("component {path} has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not a component.
    #[error("{path} is not a component: {found}")]
    NotAComponent {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The component is broken, or uses what this host does not run.
    #[error("component {path} cannot be compiled: {reason}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What the compiler says.
        reason: String,
    },
    /// The component is not an operator of this contract.
    #[error("component {path} is no operator: expected one export of {PACKAGE}…@{WIT_VERSION}, found {found}")]
    NoOperator {
        /// Which file.
        path: PathBuf,
        /// What it exports.
        found: String,
    },
    /// The component exports a function of another shape than the contract's.
    #[error("component {path}: {what}")]
    WrongShape {
        /// Which file.
        path: PathBuf,
        /// Which function, and how it differs.
        what: String,
    },
    /// The component imports what it is not granted.
    #[error("component {path} imports {}, which it is not granted", in_a_line(imports))]
    NotGranted {
        /// Which file.
        path: PathBuf,
        /// The interfaces.
        imports: Vec<String>,
    },
    /// The component fails as soon as it is started.
    #[error("component {path} fails in start: {failure}")]
    Start {
        /// Which file.
        path: PathBuf,
        /// How it fails.
        failure: Failure,
    },
    /// Compiling took too long.
    #[error("component {path} is not compiled after {limit:?}")]
    CompileTimeout {
        /// Which file.
        path: PathBuf,
        /// What it may take.
        limit: Duration,
    },
    /// Compiling took too much memory.
    #[error("component {path} is not compiled with {} of memory", format_size(*limit))]
    CompileMemory {
        /// Which file.
        path: PathBuf,
        /// What it may take.
        limit: u64,
    },
    /// The process that compiled it ended without an answer that makes sense.
    #[error("component {path} cannot be compiled: the compiler's process {how}")]
    CompilerDied {
        /// Which file.
        path: PathBuf,
        /// How it ended, or what it answered.
        how: String,
    },
    /// No process to compile in could be started, or it could not give up its privileges.
    #[error("component {path} cannot be compiled in a process of its own: {reason}")]
    NoCompiler {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The folder for compiled components cannot be trusted or used.
    #[error("cannot use the component cache {folder}: {reason}")]
    Cache {
        /// Which folder.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The engine does not start on this machine.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
}

/// Names that a stranger gave, after one another.
fn in_a_line(names: &[String]) -> String {
    names.iter().map(|name| plain_line(name)).collect::<Vec<_>>().join(", ")
}

impl LoadError {
    pub(super) fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(error.to_string())
    }

    /// Whether it tells of what the system refused this host, in words that no component has a say in.
    #[must_use]
    pub fn is_the_hosts(&self) -> bool {
        match self {
            Self::Read { .. } | Self::NoCompiler { .. } | Self::Cache { .. } | Self::Engine(_) => true,
            Self::Start { failure, .. } => failure.code == FailureCode::Fault,
            _ => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("build it: `sage-host build` in the folder of its crate; paths are relative to the pipeline file")
            }
            Self::NotAComponent { .. } => Some("build the operator with `sage-host build`, which makes a component"),
            Self::NoOperator { .. } => {
                Some("export one of map, filter, flat-map, key-by, process, source, sink with sage-guest")
            }
            Self::NotGranted { .. } => {
                Some("grant it under `capabilities` in the pipeline file, or build the operator without it")
            }
            Self::TooLarge { .. } => Some("build with `--release`, or raise max_component_bytes in host.toml"),
            Self::CompileTimeout { .. } => {
                Some("raise compile_timeout in host.toml, if this component may take so long")
            }
            Self::CompileMemory { .. } => Some("raise compile_memory in host.toml, if this component may take so much"),
            Self::CompilerDied { .. } => Some("a component that brings the compiler down is broken, or meant to"),
            Self::NoCompiler { .. } => {
                Some("starting a process, seccomp and close_range (Linux 5.9) are needed: containers may withhold them")
            }
            Self::Cache { .. } => Some("give another folder with --cache-folder"),
            _ => None,
        }
    }
}
