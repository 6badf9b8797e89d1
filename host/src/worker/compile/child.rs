use std::io::{self, Read};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

use super::reply;
use crate::sandbox::{CompileError, LoadError, Sandbox, SandboxOptions};
use crate::worker::lockdown::{Lockdown, LockdownError, ProcessLimits, Purpose, forbid_new_code};

/// What a compiling process is told when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileOrder {
    /// Bytes of memory that it may take.
    pub memory: u64,
    /// Seconds of CPU time that it may take.
    pub cpu_seconds: u64,
    /// The process that started it, and with which it ends.
    pub parent: u32,
}

/// Why a compiling process ends without a reply.
#[derive(Debug, Error)]
pub enum CompileProcessError {
    /// Whoever started it is gone.
    #[error("the process {0} that wanted this compiled is gone")]
    Orphaned(u32),
    /// A right could not be given up: nothing was compiled.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// The component cannot be read, or the reply not written.
    #[error("cannot {what}: {source}")]
    Pipe {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
}

/// Descriptors: the standard streams, and what the engine's own waiting takes.
const OPEN_FILES: u64 = 32;

/// What `sage-host compile` does: gives up every right it does not need, compiles the component on standard input, asks it for its
/// side outputs, and writes all that to standard output.
///
/// # Errors
/// Whatever keeps it from replying; whoever waits for the reply sees that it ended.
pub fn compile_one(order: CompileOrder) -> Result<(), CompileProcessError> {
    let broken = |what| move |source: io::Error| CompileProcessError::Pipe { what, source };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| broken("ask to end with its parent")(errno.into()))?;
    if getppid().map(Pid::as_raw_pid) != i32::try_from(order.parent).ok() {
        return Err(CompileProcessError::Orphaned(order.parent));
    }
    lockdown(order).apply()?;
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component).map_err(broken("read the component"))?;
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let outcome = sandbox.compile_for_another(&component, || {
        forbid_new_code().map_err(|error| CompileError::Unavailable(error.to_string()))
    });
    reply::write(&mut io::stdout().lock(), outcome).map_err(broken("reply"))
}

fn lockdown(order: CompileOrder) -> Lockdown {
    Lockdown {
        purpose: Purpose::Compile,
        keep: vec![0, 1, 2],
        folders: Vec::new(),
        connect: Vec::new(),
        limits: ProcessLimits {
            open_files: OPEN_FILES,
            file_bytes: Some(0),
            data_bytes: Some(order.memory),
            cpu_seconds: Some(order.cpu_seconds),
        },
    }
}
