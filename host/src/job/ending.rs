use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sage_jobs::{JobEnd, JobFolder, JobOutcome, VERSION, now, write_json};
use sage_observe::Summary;

use super::job_state::JobState;
use crate::ExitCode;
use crate::failure::Failure;
use crate::printer::{OutputFormat, Printer};
use crate::run_owner::RunOwner;
use crate::run_so_far::SoFar;
use crate::verdict::verdict;

/// Writes the end of an attempt, exactly once.
///
/// A part of the disk is reserved for it when the attempt begins, so that a job that fills the disk still has an end.
#[derive(Debug)]
pub(super) struct JobEnding {
    folder: JobFolder,
    state: Arc<JobState>,
    reserve: PathBuf,
    /// The exit code, once the end was written.
    written: Mutex<Option<ExitCode>>,
}

/// Bytes that are reserved: several times an end with 50 stages.
const RESERVE: usize = 128 << 10;
/// Number of tries to write the end, and the time between two of them.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(100);

impl JobEnding {
    pub(super) fn new(folder: JobFolder, state: Arc<JobState>) -> Self {
        let reserve = folder.path().join("end.reserve");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&reserve);
        if let Err(error) = file.and_then(|mut file| file.write_all(&vec![0; RESERVE])) {
            tracing::warn!(%error, "no room could be reserved for the end of the job");
        }
        Self { folder, state, reserve, written: Mutex::new(None) }
    }

    /// Writes the end with the outcome of the run, unless an end was written before. Returns the exit code of the end.
    pub(super) fn write(&self, outcome: Result<&Summary, Failure>) -> ExitCode {
        let (summary, failure) = match outcome {
            Ok(summary) => (Some(summary), verdict(summary).err()),
            Err(failure) => (None, Some(failure)),
        };
        self.write_end(summary, failure)
    }

    fn write_end(&self, summary: Option<&Summary>, failure: Option<Failure>) -> ExitCode {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = *written {
            return code;
        }
        let failure = failure.map(Failure::naming_the_limit);
        let code = failure.as_ref().map_or(ExitCode::Done, Failure::exit_code);
        let order = self.state.order();
        let mut end = JobEnd {
            version: VERSION,
            id: order.id.clone(),
            attempt: order.attempt,
            at: now(),
            outcome: self.outcome(summary, code),
            exit_code: code.number(),
            summary: summary.and_then(|summary| serde_json::to_value(summary).ok()),
            error: failure.as_ref().map(Failure::fields),
        };
        self.log(&end, failure.as_ref());
        let _ = fs::remove_file(&self.reserve);
        for attempt in 1..=TRIES {
            match write_json(&self.folder.end(), &end) {
                Ok(()) => break,
                Err(error) if attempt == TRIES => {
                    Printer::new(OutputFormat::Text).failure(&Failure::of(ExitCode::InternalFault, &error));
                }
                Err(_) => {
                    // What is left without the summary is smaller than what was reserved.
                    end.summary = None;
                    thread::sleep(AGAIN);
                }
            }
        }
        *written = Some(code);
        code
    }

    fn outcome(&self, summary: Option<&Summary>, code: ExitCode) -> JobOutcome {
        let stop = self.state.stop();
        let was_aborted = stop.is_none_or(|stop| stop.was_aborted() || !stop.is_draining());
        match (summary.map(|summary| summary.outcome), code) {
            (Some("completed"), ExitCode::Done) => JobOutcome::Completed,
            (Some("drained"), ExitCode::Done) => JobOutcome::Drained,
            // The drain of a source that would have ended by itself cuts its input short.
            (Some("interrupted"), _) if !was_aborted => JobOutcome::Drained,
            (_, ExitCode::Interrupted) => JobOutcome::Aborted,
            (None, ExitCode::InvalidUsage) => JobOutcome::Invalid,
            (None, ExitCode::Refused) if self.state.no_room_for().is_some() => match self.state.no_room_for() {
                Some(true) => JobOutcome::TenantFull,
                _ => JobOutcome::NoRoom,
            },
            (None, ExitCode::Refused) => JobOutcome::Refused,
            _ => JobOutcome::Failed,
        }
    }

    fn log(&self, end: &JobEnd, failure: Option<&Failure>) {
        let outcome = serde_json::to_value(end.outcome).ok();
        let outcome = outcome.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        match failure {
            Some(failure) => tracing::error!("the attempt has ended ({outcome}): {}", failure.text().trim_end()),
            None => tracing::info!("the attempt has ended ({outcome})"),
        }
    }
}

impl RunOwner for JobEnding {
    fn say(&self, words: &str) {
        tracing::info!("{words}");
    }

    fn changed(&self) {
        self.state.update();
    }

    fn timeout_name(&self) -> &'static str {
        "the drain timeout of the job"
    }

    fn leave(&self) -> ! {
        let SoFar { summary, failure, .. } = self.state.so_far();
        let code = self.write_end(summary.as_ref(), failure);
        let _ = fs::remove_file(&self.state.order().socket);
        std::process::exit(code.number().into());
    }
}
