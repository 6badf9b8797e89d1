use super::args::{StateAction, StateArguments};
use super::inspect::inspect;
use super::remove::remove;
use super::savepoint::savepoint;
use super::verify::verify;
use crate::failure::Failure;
use crate::printer::Printer;

/// Performs a command of `state`.
pub(crate) fn perform(arguments: &StateArguments, printer: Printer) -> Result<(), Failure> {
    match &arguments.action {
        StateAction::Inspect(arguments) => inspect(&arguments.folder, printer),
        StateAction::Verify(arguments) => verify(&arguments.folder, printer),
        StateAction::Savepoint(arguments) => savepoint(arguments, printer),
        StateAction::Rm(arguments) => remove(&arguments.folder, arguments.force, printer),
    }
}
