use std::io::IsTerminal as _;

use serde_json::json;

use super::ExitCode;
use super::failure::Failure;
use sage_admission::{Reason, Refusal};
use sage_machine::ResourceError;
use sage_models::{ModelError, OTHER_BACKEND, ServiceError};
use sage_observe::{RunFailure, Summary, colours_wanted};
use sage_plan::config::Diagnostics;
use sage_runtime::engine::{JobError, PipelineError, RunError};
use sage_sandbox::{FailureCode, LoadError};

/// The failure for a job that is not run, with its exit code.
pub(super) fn of_job(error: &JobError) -> Failure {
    match error {
        JobError::Read { .. } => Failure::of(ExitCode::InvalidUsage, error),
        JobError::Invalid(diagnostics) => of_file(diagnostics),
        JobError::Component { error: cause, .. } => hinted(Failure::of(of_load(cause), error), cause.hint()),
        JobError::Model { error: cause, .. } => match &**cause {
            ModelError::Unavailable(_) => Failure::of(ExitCode::Refused, error),
            ModelError::Refused(_) => Failure::of(ExitCode::InvalidUsage, error).hint(OTHER_BACKEND),
            ModelError::Digest { actual, .. } => Failure::of(ExitCode::InvalidUsage, error)
                .hint(format!("if this is the model that you mean, declare sha256 = \"{actual}\"")),
            _ => Failure::of(ExitCode::InvalidUsage, error),
        },
        JobError::Sandbox(cause) => hinted(Failure::of(of_load(cause), error), cause.hint()),
        JobError::Refused(refusal) => of_admission(refusal),
        JobError::Resources(cause) => hinted(Failure::of(of_resources(cause), error), cause.hint()),
        JobError::Run(cause @ RunError::Start(failures)) if !are_faults(failures) => {
            hinted(Failure::of(of_start(cause), error), cause.hint()).of_guest()
        }
        JobError::Run(cause) => hinted(Failure::of(of_start(cause), error), cause.hint()),
    }
}

/// True if the system refused the host something that the guests need. No guest is at fault then.
fn are_faults(failures: &[PipelineError]) -> bool {
    failures.iter().all(|failure| failure.code == FailureCode::Fault)
}

/// The failure for a failed run.
pub(super) fn of_run(error: &RunFailure, summary: &Summary) -> Failure {
    let kind = summary.stage(&error.stage).map(|stage| stage.kind);
    let what = kind.filter(|kind| matches!(*kind, "source" | "sink")).unwrap_or("operator");
    let record = error.record.as_deref().map_or_else(String::new, |record| format!(" at {record}"));
    let RunFailure { stage, instance, code, message, hint, .. } = error;
    let failure = Failure::new(
        ExitCode::PipelineFailed,
        format!("{what} \"{stage}\" (instance {instance}) failed with {code}{record}: {message}"),
    );
    hinted(failure, hint.as_deref())
}

/// The failure for a component that cannot be loaded.
pub(super) fn of_component(error: &LoadError) -> Failure {
    hinted(Failure::of(of_load(error), error), error.hint())
}

fn of_file(diagnostics: &Diagnostics) -> Failure {
    let report = serde_json::to_value(diagnostics).ok();
    Failure::invalid(diagnostics.count())
        .drawn(diagnostics.render(std::io::stderr().is_terminal() && colours_wanted()), report)
}

/// The failure for a refusal: every reason, with its notes and its own hint.
fn of_admission(refusal: &Refusal) -> Failure {
    let mut drawing = String::new();
    let mut reasons = Vec::new();
    for reason in &refusal.reasons {
        let mut one = Failure::new(ExitCode::Refused, reason.to_string());
        for note in reason.notes() {
            one = one.cause(note);
        }
        drawing.push_str(&hinted(one, reason.hint().as_deref()).text());
        let mut fields = json!({ "message": reason.to_string(), "notes": reason.notes(), "hint": reason.hint() });
        if let (Reason::Ceiling { tenant, resource, wanted, free, most, .. }, Some(fields)) =
            (reason, fields.as_object_mut())
        {
            let ceiling =
                json!({ "tenant": tenant, "resource": resource, "requested": wanted, "free": free, "limit": most });
            fields.insert("ceiling".to_owned(), ceiling);
        }
        reasons.push(fields);
    }
    let message = match refusal.reasons.as_slice() {
        [one] => one.to_string(),
        several => format!("refused for {} reasons", several.len()),
    };
    Failure::new(ExitCode::Refused, message).drawn(drawing, Some(reasons.into()))
}

fn of_load(error: &LoadError) -> ExitCode {
    match error {
        LoadError::Engine(_) => ExitCode::InternalFault,
        LoadError::NoCompiler { .. } => ExitCode::Refused,
        _ => ExitCode::InvalidUsage,
    }
}

/// The exit code for an error of the machine: an internal fault if the host cannot run without the operation,
/// or a refusal, for example because of a folder that the user chose.
pub(super) fn of_resources(error: &ResourceError) -> ExitCode {
    match error {
        ResourceError::ReadAffinity(_)
        | ResourceError::ReadMemory { .. }
        | ResourceError::Keeper { .. }
        | ResourceError::DeviceKeeper { .. }
        | ResourceError::Turns { .. } => ExitCode::InternalFault,
        ResourceError::UnknownLease { .. } => ExitCode::InvalidUsage,
        _ => ExitCode::Refused,
    }
}

fn of_start(error: &RunError) -> ExitCode {
    match error {
        RunError::Connector { .. } | RunError::Checkpoint { .. } => ExitCode::InvalidUsage,
        RunError::Start(failures) if are_faults(failures) => ExitCode::Refused,
        RunError::Start(_) => ExitCode::PipelineFailed,
        RunError::Lane { .. } => ExitCode::Refused,
        RunError::Launcher { .. } => ExitCode::Refused,
        RunError::Models(error) => match **error {
            ServiceError::Device { .. } => ExitCode::Refused,
            ServiceError::Model { .. } => ExitCode::InvalidUsage,
            ServiceError::Stopped => ExitCode::Interrupted,
        },
        RunError::Internal(_) => ExitCode::InternalFault,
    }
}

fn hinted(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
