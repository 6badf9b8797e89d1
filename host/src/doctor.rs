use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::ExitCode;
use super::args::DoctorArguments;
use super::failure::Failure;
use super::printer::Printer;
use super::refusal::of_job;
use super::wasm_target;
use sage_machine::Tier;
use sage_runtime::engine::JobOptions;
use sage_runtime::worker::examine::{Examination, examine};

/// The command `doctor`: tests which limits this machine can enforce.
pub(super) fn doctor(arguments: &DoctorArguments, printer: Printer) -> Result<(), Failure> {
    // The tests end by themselves within moments. A signal must not interrupt their cleanup.
    let interrupted = Arc::<AtomicBool>::default();
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Failure::fault(format!("cannot watch for signals: {error}")))?;
    }
    let options = JobOptions {
        host_file: arguments.host.clone(),
        lease_folder: arguments.lease_folder.clone(),
        cache_folder: arguments.cache_folder.clone(),
        ..JobOptions::default()
    };
    // The running program, even if its file was replaced in the meantime.
    let report = examine(&options, "/proc/self/exe").map_err(|error| of_job(&error))?.with(compiler());
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::new(ExitCode::Interrupted, "interrupted: the tests left nothing behind"));
    }
    printer.result(|| report.to_string(), &report)?;
    if report.is_sufficient() {
        return Ok(());
    }
    let message = format!("not all that process isolation promises can be enforced here: {}", report.shortfall());
    Err(Failure::new(ExitCode::Refused, message).in_result())
}

/// The examination of the compiler for operators. No pipeline needs it to run.
fn compiler() -> Examination {
    let (found, detail, hint) = match wasm_target::libraries(None, Stdio::null()) {
        Ok(Some(libraries)) => (Tier::Hard, format!("libraries in {}", libraries.display()), None),
        Ok(None) => {
            (Tier::None, "not installed: `sage-host build` cannot compile here".to_owned(), Some(wasm_target::HINT))
        }
        Err(error) => {
            let detail = format!("cannot start {}: {error}", wasm_target::rustc().display());
            (Tier::None, detail, Some("to build operators here, install Rust from https://rustup.rs"))
        }
    };
    Examination {
        name: "wasm target",
        found,
        needed: Tier::None,
        mechanism: format!("rustc, {}", wasm_target::WASM_TARGET),
        detail,
        hint: hint.map(str::to_owned),
    }
}
