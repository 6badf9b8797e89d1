use super::ExitCode;
use super::args::{Isolation, RunArguments};
use super::failure::Failure;
use super::printer::{OutputFormat, Printer};
use super::refusal::{of_job, of_run};
use super::signals::SignalWatch;
use super::validate::options;
use crate::engine::Job;
use crate::observe::Summary;

/// `run`: to the pipeline's end, or to the end that signals make; or only what it would get.
pub(super) fn run(arguments: &RunArguments, printer: Printer) -> Result<(), Failure> {
    if arguments.isolation == Isolation::Process {
        return Err(Failure::new(ExitCode::Refused, "isolation in a process of its own comes with a later version")
            .hint("leave --isolation away: instances then run in sandboxed threads of this process"));
    }
    super::logging::start(arguments.log_level);
    let job = Job::from_file(&arguments.pipeline, options(&arguments.machine)).map_err(|error| of_job(&error))?;
    if arguments.explain {
        let ledger = job.explain().map_err(|error| of_job(&error))?;
        return printer.result(|| ledger.to_string(), &ledger);
    }
    let signals = SignalWatch::start(job.stop_handle(), printer)?;
    let session = job.start().map_err(|error| of_job(&error))?;
    let summary = session.wait();
    drop(signals);
    tell(&summary, arguments, printer)?;
    verdict(&summary).map_err(Failure::in_result)
}

/// The summary: on stderr for people, because stdout may carry records; for programs as the last line of stdout.
fn tell(summary: &Summary, arguments: &RunArguments, printer: Printer) -> Result<(), Failure> {
    match printer.format() {
        OutputFormat::Json => printer.result(String::new, summary),
        OutputFormat::Text if arguments.quiet => Ok(()),
        OutputFormat::Text => {
            printer.note(summary.to_string().trim_end());
            Ok(())
        }
    }
}

fn verdict(summary: &Summary) -> Result<(), Failure> {
    if !summary.balanced() {
        return Err(Failure::fault("the records of a stage do not add up, see the summary")
            .hint("this is a bug in sage-host: please report it with the command and the pipeline file"));
    }
    match &summary.error {
        Some(error) => Err(of_run(error)),
        None if summary.outcome == "interrupted" => {
            Err(Failure::new(ExitCode::Interrupted, "interrupted: part of the input was not taken care of"))
        }
        None => Ok(()),
    }
}
