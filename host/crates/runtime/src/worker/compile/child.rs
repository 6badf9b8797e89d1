use std::io;

use super::reply;
use crate::worker::one_shot::{OneShotError, OneShotSetup, broken, read_all};
use sage_process::lockdown::forbid_new_code;
use sage_sandbox::{CompileError, Sandbox, SandboxOptions};

/// Descriptors: the standard streams, and those that the engine uses for waiting.
const OPEN_FILES: u64 = 32;

/// Runs `sage-host compile`: gives up every right that is not needed, compiles the component on standard input,
/// asks it for its side outputs, and writes the result to standard output.
///
/// # Errors
/// Any reason why there is no reply. The caller sees that the process ended.
pub fn compile_one(order: OneShotSetup) -> Result<(), OneShotError> {
    order.begin(OPEN_FILES, &[])?;
    let component = read_all("read the component")?;
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let outcome = sandbox.compile_for_another(&component, || {
        forbid_new_code().map_err(|error| CompileError::Unavailable(error.to_string()))
    });
    reply::write(&mut io::stdout().lock(), outcome).map_err(broken("reply"))
}
