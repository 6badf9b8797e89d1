use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use sage_jobs::{AliveLock, GiveFor, JobError, JobFolder, JobLog, JobOrder, begin};
use sage_observe::Summary;

use super::args::JobArguments;
use super::attempt::attempt;
use super::came_with::check_files;
use super::confined::Confined;
use super::control_socket::{ControlListener, ControlSocket};
use super::ending::JobEnding;
use super::job_log::SharedLog;
use super::job_state::JobState;
use super::status_writer::StatusWriter;
use super::streams::detach;
use crate::ExitCode;
use crate::arriving::survive_the_file_size_limit;
use crate::failure::Failure;
use crate::printer::{OutputFormat, Printer};
use crate::program::fault;
use crate::signals::SignalWatch;

/// The command `job`: runs one attempt of a job.
pub(crate) fn job(arguments: &JobArguments) -> ExitCode {
    survive_the_file_size_limit();
    let folder = JobFolder::new(&arguments.folder);
    let (lock, order) = match begin(&folder, env!("CARGO_PKG_VERSION")) {
        Ok(begun) => begun,
        Err(error) => {
            let failure = Failure::of(not_begun(&error), &error);
            Printer::new(OutputFormat::Text).failure(&failure);
            return failure.exit_code();
        }
    };
    one_attempt(&folder, order, lock)
}

fn not_begun(error: &JobError) -> ExitCode {
    match error {
        JobError::Alive { .. } => ExitCode::AlreadyRuns,
        JobError::Io { .. } => ExitCode::Refused,
        _ => ExitCode::InvalidUsage,
    }
}

/// Runs the attempt. Its end is on disk when this function returns, which is before the lock is released.
fn one_attempt(folder: &JobFolder, order: JobOrder, lock: AliveLock) -> ExitCode {
    if let Err(failure) = detach(&folder.stderr()) {
        // The process runs as well with the streams that it was given.
        Printer::new(OutputFormat::Text).failure(&failure);
    }
    // The user of the job has no rights in the folder of the socket. Otherwise it is made when signals are watched.
    let early = order.user.map(|_| ControlListener::bind(&order.socket));
    // Before anything starts a thread. The user of the job cannot read signatures.
    let confined = check_files(&order).and_then(|()| Confined::become_one(&order, folder, GiveFor::Attempt));
    let log = SharedLog::new(JobLog::open(folder.logs(), order.attempt));
    log.take_messages();
    let order = Arc::new(order);
    let state = Arc::new(JobState::new(Arc::clone(&order)));
    let ending = Arc::new(JobEnding::new(folder.clone(), Arc::clone(&state)));
    let fault = remembered_faults();
    let code = guarded(&ending, &fault, || {
        let confined = confined?;
        let signals = SignalWatch::start(order.drain_timeout, Arc::clone(&ending) as _)?;
        let _status = StatusWriter::start(folder.status(), Arc::clone(&state))?;
        let listener = early.unwrap_or_else(|| ControlListener::bind(&order.socket))?;
        let _socket = ControlSocket::serve(listener, &state, signals.requests())?;
        let outcome = attempt((&order, &confined), &state, &signals, &log);
        // A signal that comes now changes nothing any more.
        ending.write(outcome.as_ref().map_err(Clone::clone));
        outcome
    });
    drop(lock);
    code
}

/// Runs the attempt and writes its end, also if it panics.
fn guarded(
    ending: &JobEnding,
    fault: &Mutex<Option<Failure>>,
    attempt: impl FnOnce() -> Result<Summary, Failure>,
) -> ExitCode {
    let outcome = panic::catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
        let fault = fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(fault.unwrap_or_else(|| Failure::fault("internal fault")))
    });
    ending.write(outcome.as_ref().map_err(Clone::clone))
}

/// Reports panics on standard error, and remembers the last one for the end of the attempt.
fn remembered_faults() -> Arc<Mutex<Option<Failure>>> {
    let last = Arc::<Mutex<Option<Failure>>>::default();
    let remember = Arc::clone(&last);
    // The log is left alone here, because the panic may have happened in it.
    panic::set_hook(Box::new(move |info| {
        if let Some(failure) = fault(info) {
            Printer::new(OutputFormat::Text).failure(&failure);
            *remember.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
    }));
    last
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sage_jobs::{JobEnd, JobIsolation, JobOutcome, VERSION, read_json};

    use super::*;

    #[test]
    fn an_attempt_that_panics_has_an_end() {
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder::new(root.path());
        let order = JobOrder {
            version: VERSION,
            id: "a".to_owned(),
            name: "celsius".to_owned(),
            tenant: None,
            revision: 1,
            attempt: 3,
            pipeline: "/p.toml".into(),
            shown_as: None,
            files: std::collections::BTreeMap::new(),
            data: "/".into(),
            host_file: None,
            isolation: JobIsolation::Thread,
            drain_timeout: Duration::from_secs(30),
            socket: "/s".into(),
            folders: Vec::new(),
            connect: Vec::new(),
            models: None,
            signers: None,
            secrets: std::collections::BTreeMap::new(),
            user: None,
            cache: None,
            hard_limits: false,
        };
        let state = Arc::new(JobState::new(Arc::new(order)));
        let ending = JobEnding::new(folder.clone(), state);
        let fault = Mutex::new(Some(Failure::fault("internal fault in thread main")));
        let code = guarded(&ending, &fault, || panic!("a bug"));
        assert_eq!(code, ExitCode::InternalFault);
        let end: JobEnd = read_json(&folder.end()).unwrap();
        assert_eq!((end.attempt, end.outcome, end.exit_code), (3, JobOutcome::Failed, 1));
        assert_eq!(end.error.unwrap()["message"], "internal fault in thread main");
    }
}
