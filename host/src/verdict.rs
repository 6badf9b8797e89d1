use super::ExitCode;
use super::failure::Failure;
use super::refusal::of_run;
use sage_observe::Summary;

/// The failure that a run with this summary ends with.
pub(super) fn verdict(summary: &Summary) -> Result<(), Failure> {
    if !summary.balanced {
        return Err(Failure::fault("the records of a stage do not add up, see the summary")
            .hint("this is a bug in sage-host: please report it with the command and the pipeline file"));
    }
    match &summary.error {
        Some(error) => Err(of_run(error, summary)),
        None if summary.outcome == "interrupted" => {
            Err(Failure::new(ExitCode::Interrupted, "interrupted: part of the input was not processed"))
        }
        None => Ok(()),
    }
}
