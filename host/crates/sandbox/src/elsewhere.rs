use std::fmt;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use wasmtime::component::Component;

use super::described::description_in;
use super::failure::{Failure, os_error};
use super::load::asked_for_ports;
use super::load_error::LoadError;
use super::runtime::Sandbox;
use sage_plan::Description;

/// Compiles components in another process than this one, so that one that takes for ever, or all memory, or the compiler down,
/// takes nothing else with it; and asks it there for its side outputs, which runs its code.
///
/// What comes back is machine code that this process will run: whoever implements this is trusted as the compiler is.
pub trait CompileElsewhere: fmt::Debug + Send + Sync {
    /// Compiles a component. Blocks for as long as that takes, and no longer than `limits.timeout` by more than a moment.
    ///
    /// # Errors
    /// What is wrong with the component, or what it broke.
    fn compile(&self, bytes: &[u8], limits: CompileLimits) -> Result<Compiled, CompileError>;
}

/// What one compilation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// From its start to its end.
    pub timeout: Duration,
    /// Bytes of memory; and of compiled code, which is made in it.
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
    /// The code, as the engine reads it.
    pub code: Vec<u8>,
    /// Its side outputs.
    pub ports: Ports,
    /// What it says of itself.
    pub description: Option<Description>,
}

/// What became of asking a component for its side outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// It is of no kind that has any, or cannot be linked whatever it is granted.
    NotAsked,
    /// What it answered, unchecked.
    Told(Vec<String>),
    /// It failed.
    Failed(Failure),
}

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    /// The compiler refuses it.
    #[error("{0}")]
    Invalid(String),
    /// It took too long.
    #[error("it took more than {0:?}")]
    TimedOut(Duration),
    /// It took too much memory.
    #[error("it took more than {0} bytes of memory")]
    OutOfMemory(u64),
    /// The process ended before it was done, or answered nonsense.
    #[error("{0}")]
    Died(String),
    /// There is no process to compile in.
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

impl Sandbox {
    /// What the process of a [`CompileElsewhere`] does: compiles here, then asks the component for its side outputs.
    /// `before_guest` comes in between: after it no code has to be made any more, and the component's own runs.
    ///
    /// # Errors
    /// The compiler refuses it, or memory ended; what `before_guest` says.
    pub fn compile_for_another(
        &self,
        bytes: &[u8],
        before_guest: impl FnOnce() -> Result<(), CompileError>,
    ) -> Result<Compiled, CompileError> {
        let refused = |error: wasmtime::Error| match out_of_memory(&error) {
            true => CompileError::OutOfMemory(0),
            false => CompileError::Invalid(format!("{error:#}")),
        };
        let component = Component::from_binary(self.engine(), bytes).map_err(refused)?;
        let code = component.serialize().map_err(refused)?;
        let description = description_in(bytes).map_err(|error| CompileError::Invalid(error.to_string()))?;
        before_guest()?;
        Ok(Compiled { code, ports: asked_for_ports(self, component, bytes), description })
    }
}

fn out_of_memory(error: &wasmtime::Error) -> bool {
    error.is::<wasmtime::OutOfMemory>() || os_error(error) == Some(rustix::io::Errno::NOMEM)
}
