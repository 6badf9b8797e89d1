use sage_jobs::{
    GiveFor, JobCheck, JobError as FileError, JobFolder, JobOrder, Objection, VERSION, read_json, write_json,
};
use sage_runtime::engine::{Job, JobError};

use super::args::CheckJobArguments;
use super::came_with::check_files;
use super::confined::Confined;
use super::hard_limits::hard_limits;
use super::order_options::{options, path_rules};
use super::restart_class::restart_class;
use super::unused_sink::UnusedSink;
use crate::ExitCode;
use crate::failure::Failure;
use crate::refusal::of_job;

/// The command `check-job`: writes what is known of a job's revision without running it.
pub(crate) fn check_job(arguments: &CheckJobArguments) -> Result<(), Failure> {
    let folder = JobFolder::new(&arguments.folder);
    let of_files = |error: FileError| Failure::of(ExitCode::InternalFault, &error);
    let order: JobOrder = read_json(&folder.check_order(arguments.revision)).map_err(of_files)?;
    write_json(&folder.check(arguments.revision), &check(&order, &folder)).map_err(of_files)
}

fn check(order: &JobOrder, folder: &JobFolder) -> JobCheck {
    let mut check = JobCheck { version: VERSION, objection: None, class: None, report: None };
    let shown_as = order.shown_as.as_deref().unwrap_or(&order.pipeline);
    // The user of the job cannot read signatures.
    let confined = check_files(order).and_then(|()| Confined::become_one(order, folder, GiveFor::Check));
    let read = confined.and_then(|confined| Ok((options(order, confined.slice())?, confined))).and_then(
        |(options, confined)| {
            let paths = (order.pipeline.as_path(), shown_as);
            Job::from_file_within(paths, &path_rules(order, confined.secrets()), |_| Box::new(UnusedSink), options)
                .map_err(|e| of_job(&e))
        },
    );
    let job = match read {
        Ok(job) => job,
        Err(failure) => {
            check.objection = Some(objection(failure));
            return check;
        }
    };
    check.class = Some(restart_class(job.plan()));
    match job.explain() {
        Ok(report) => {
            check.objection = hard_limits(order, &report).err().map(objection);
            check.report = serde_json::to_value(&report).ok();
        }
        // Others hold what it asks for, and it may wait for them.
        Err(JobError::Refused(_)) if job.fits_alone().unwrap_or(false) => {}
        Err(error) => check.objection = Some(objection(of_job(&error))),
    }
    check
}

fn objection(failure: Failure) -> Objection {
    let failure = failure.naming_the_limit();
    Objection { exit_code: failure.exit_code().number(), error: failure.fields(), text: failure.text() }
}
