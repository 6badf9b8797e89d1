use std::fmt;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use super::failure::Failure;
use super::load_error::LoadError;
use sage_plan::Description;

/// Compiles components in another process. A compilation that never ends, uses all memory or crashes the
/// compiler then harms nothing else. The other process also asks the component for its side outputs, which runs
/// the component's code.
///
/// The result is machine code that this process will run. Therefore an implementation is trusted as much as the
/// compiler.
pub trait CompileElsewhere: fmt::Debug + Send + Sync {
    /// Compiles a component. Blocks until the compilation ends, and only a moment longer than `limits.timeout`.
    ///
    /// # Errors
    /// The component is invalid, or exceeded a limit, or the process failed.
    fn compile(&self, bytes: &[u8], limits: CompileLimits) -> Result<Compiled, CompileError>;
}

/// The limits of one compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Longest time from the start to the end.
    pub timeout: Duration,
    /// Most bytes of memory. The same limit applies to the compiled code, which is built in that memory.
    pub memory: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        use sage_plan::config::HostSettings as Settings;
        Self { timeout: Settings::DEFAULT_COMPILE_TIMEOUT, memory: Settings::DEFAULT_COMPILE_MEMORY }
    }
}

/// A component that was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The code in the engine's format.
    pub code: Vec<u8>,
    /// The component's side outputs.
    pub ports: Ports,
    /// The component's description of itself.
    pub description: Option<Description>,
}

/// The result of asking a component for its side outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// The component was not asked: its kind has no side outputs, or it cannot be linked with any grants.
    NotAsked,
    /// The component's answer, not yet checked.
    Told(Vec<String>),
    /// The component failed.
    Failed(Failure),
}

/// The reason why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    /// The compiler refuses the component.
    #[error("{0}")]
    Invalid(String),
    /// The compilation took too long.
    #[error("the compilation took more than {0:?}")]
    TimedOut(Duration),
    /// The compilation took too much memory.
    #[error("the compilation took more than {0} bytes of memory")]
    OutOfMemory(u64),
    /// The process ended before it was done, or its answer was invalid.
    #[error("{0}")]
    Died(String),
    /// The process could not be started.
    #[error("{0}")]
    Unavailable(String),
}

impl CompileError {
    pub(super) fn of(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Self::Invalid(reason) => LoadError::Invalid { path, reason },
            Self::TimedOut(limit) => LoadError::CompileTimeout { path, limit },
            Self::OutOfMemory(limit) => LoadError::CompileMemory { path, limit },
            Self::Died(how) => LoadError::CompilerDied { path, how },
            Self::Unavailable(reason) => LoadError::NoCompiler { path, reason },
        }
    }
}
