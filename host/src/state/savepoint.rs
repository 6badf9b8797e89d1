use std::thread;
use std::time::{Duration, Instant};

use sage_jobs::now;
use sage_store::{RequestState, SavepointRequest, Store, StoreError};
use serde_json::json;

use super::args::SavepointStateArguments;
use super::store_failure::of_store;
use crate::ExitCode;
use crate::failure::Failure;
use crate::printer::Printer;

/// Time between two looks for the answer of the run.
const LOOK: Duration = Duration::from_millis(20);

/// The command `state savepoint`.
pub(super) fn savepoint(arguments: &SavepointStateArguments, printer: Printer) -> Result<(), Failure> {
    let folder = &arguments.folder;
    if !Store::is_in(folder) {
        return Err(of_store(&StoreError::Absent { folder: folder.clone() }));
    }
    let no_run = || Failure::new(ExitCode::Refused, format!("no run has the checkpoints in {}", folder.display()));
    if !Store::is_in_use(folder) {
        return Err(no_run().hint("its last epoch is what a savepoint would be: run it with --from last"));
    }
    let name = arguments.name.as_ref().map_or_else(|| format!("{:013}", now()), ToString::to_string);
    let request = SavepointRequest { name, stops: arguments.stop };
    request.leave(folder).map_err(|error| of_store(&error))?;
    let until = Instant::now() + arguments.timeout;
    loop {
        match request.state(folder) {
            RequestState::Done(path) => {
                let text = || format!("savepoint {} in {}\n", request.name, path.display());
                return printer.result(text, &json!({ "name": request.name, "path": path }));
            }
            RequestState::Failed(reason) => {
                return Err(Failure::new(ExitCode::Refused, format!("the run could not take it: {reason}")));
            }
            RequestState::Waits if Instant::now() >= until => {
                request.withdraw(folder);
                let waited = sage_plan::config::format_duration(arguments.timeout);
                return Err(Failure::new(ExitCode::Refused, format!("the run took no savepoint within {waited}"))
                    .hint("a stage may need long for a batch: give it longer with --timeout"));
            }
            RequestState::Waits if !Store::is_in_use(folder) => {
                request.withdraw(folder);
                return Err(no_run());
            }
            RequestState::Waits => thread::sleep(LOOK),
        }
    }
}
