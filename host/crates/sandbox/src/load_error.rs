use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::contract::{PACKAGE, WIT_VERSION};
use super::failure::{Failure, FailureCode};
use super::foreign;
use sage_machine::PlainFileError;
use sage_text::{exact_size, plain_line};

/// The reason why a component cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read component {path}: {source}")]
    Read {
        /// The component's file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The path does not name a regular file.
    #[error("component {path} is {kind}, not a regular file")]
    NotAFile {
        /// The component's path.
        path: PathBuf,
        /// The type of the file, such as a directory.
        kind: &'static str,
    },
    /// The file is larger than this host compiles.
    #[error("component {path} has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The component's file.
        path: PathBuf,
        /// Size of the file in bytes.
        bytes: u64,
        /// Most bytes that are allowed.
        limit: u64,
    },
    /// The file is not a component.
    #[error("{path} is not a component: {found}")]
    NotAComponent {
        /// The component's file.
        path: PathBuf,
        /// The actual content of the file.
        found: String,
    },
    /// The component is broken, or uses a feature that this host does not support.
    #[error("component {path} cannot be compiled: {reason}")]
    Invalid {
        /// The component's file.
        path: PathBuf,
        /// The compiler's message.
        reason: String,
    },
    /// The component is not an operator of this contract.
    #[error("component {path} is no operator: expected one export of {PACKAGE}…@{WIT_VERSION}, found {found}")]
    NoOperator {
        /// The component's file.
        path: PathBuf,
        /// The component's exports.
        found: String,
    },
    /// The component exports a function whose type differs from the contract's.
    #[error("component {path}: {what}")]
    WrongShape {
        /// The component's file.
        path: PathBuf,
        /// The function, and how it differs.
        what: String,
    },
    /// The component imports interfaces that the host does not have for its kind.
    #[error("component {path} imports {}, which this host does not provide", in_a_line(imports))]
    NotProvided {
        /// The component's file.
        path: PathBuf,
        /// Names of the interfaces.
        imports: Vec<String>,
    },
    /// The component fails as soon as it is started.
    #[error("component {path} fails in start: {failure}")]
    Start {
        /// The component's file.
        path: PathBuf,
        /// The component's failure.
        failure: Failure,
    },
    /// The compilation took too long.
    #[error("component {path} is not compiled after {limit:?}")]
    CompileTimeout {
        /// The component's file.
        path: PathBuf,
        /// Longest time that a compilation may take.
        limit: Duration,
    },
    /// The compilation took too much memory.
    #[error("component {path} is not compiled with {} of memory", exact_size(*limit))]
    CompileMemory {
        /// The component's file.
        path: PathBuf,
        /// Most bytes of memory that a compilation may take.
        limit: u64,
    },
    /// The compiler's process ended without a valid answer.
    #[error("component {path} cannot be compiled: the compiler's process {how}")]
    CompilerDied {
        /// The component's file.
        path: PathBuf,
        /// The end of the process, or its invalid answer.
        how: String,
    },
    /// The compiler's process could not be started, or could not drop its privileges.
    #[error("component {path} cannot be compiled in a process of its own: {reason}")]
    NoCompiler {
        /// The component's file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The folder of compiled components cannot be trusted or used.
    #[error("cannot use the component cache {folder}: {reason}")]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The engine does not start on this machine.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
}

/// Untrusted names, made harmless for a terminal and joined with commas.
fn in_a_line(names: &[String]) -> String {
    names.iter().map(|name| plain_line(name)).collect::<Vec<_>>().join(", ")
}

impl LoadError {
    pub(super) fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(error.to_string())
    }

    pub(super) fn of_file(path: &Path, error: PlainFileError) -> Self {
        let path = path.to_owned();
        match error {
            PlainFileError::TooLarge { size: bytes, limit } => Self::TooLarge { path, bytes, limit },
            PlainFileError::NotAFile(kind) => Self::NotAFile { path, kind },
            PlainFileError::Unreadable(source) => Self::Read { path, source },
        }
    }

    /// Whether the error reports a refusal of the operating system, in words that no component can influence.
    #[must_use]
    pub fn is_the_hosts(&self) -> bool {
        match self {
            Self::Read { .. } | Self::NoCompiler { .. } | Self::Cache { .. } | Self::Engine(_) => true,
            Self::Start { failure, .. } => failure.code == FailureCode::Fault,
            _ => false,
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("build it: `sage-host build` in the folder of its crate; paths are relative to the pipeline file")
            }
            Self::NotAComponent { found, .. } => Some(foreign::hint_for_file(found)),
            Self::Invalid { reason, .. } => foreign::hint_for_reason(reason),
            Self::NoOperator { found, .. } => Some(foreign::hint_for_exports(found)),
            Self::NotProvided { imports, .. } => Some(foreign::hint_for_imports(imports)),
            Self::TooLarge { .. } => Some("build with `--release`, or raise max_component_bytes in host.toml"),
            Self::CompileTimeout { .. } => {
                Some("raise compile_timeout in host.toml, if this component may take so long")
            }
            Self::CompileMemory { .. } => Some("raise compile_memory in host.toml, if this component may take so much"),
            Self::CompilerDied { .. } => Some("a component that crashes the compiler is broken or malicious"),
            Self::NoCompiler { .. } => {
                Some("the compiler's process needs seccomp and close_range (Linux 5.9); a container may forbid them")
            }
            Self::Cache { .. } => Some("give another folder with --cache-folder"),
            _ => None,
        }
    }
}
