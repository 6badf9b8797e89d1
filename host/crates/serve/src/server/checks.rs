use std::process::Child;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sage_jobs::{JobCheck, RestartClass, now, read_json, write_json};

use super::attempts::message_of;
use super::thread::Server;
use crate::process::{JobProcess, ended_with, last_words, start_check};
use crate::state::{Event, Timeouts};
use crate::store::JobId;

/// Checks at a time. Each may compile components.
const CHECKS: usize = 2;

impl Server {
    /// Starts the checks that may start now.
    pub(super) fn start_checks(&mut self) {
        while self.jobs.values().filter(|entry| entry.check.is_some()).count() < CHECKS {
            let Some(id) = self.to_check.pop_front() else { return };
            let folder = self.job_files.folder(id);
            let Some(entry) = self.jobs.get_mut(&id).filter(|entry| entry.check.is_none()) else { continue };
            let Some(revision) = entry.in_check() else { continue };
            // The time of a check begins with its process.
            let deadline = Some(now() + Timeouts::CHECK);
            match &mut entry.job.rollout {
                Some(rollout) => rollout.until = deadline,
                None => entry.job.deadline = deadline,
            }
            let _ = std::fs::remove_file(folder.check(revision));
            if let Err(message) = self.start_check(id, revision) {
                self.happen(id, Event::CheckBroke { message });
            }
        }
    }

    fn start_check(&mut self, id: JobId, revision: u32) -> Result<(), String> {
        let folder = self.job_files.folder(id);
        let Some(entry) = self.jobs.get(&id) else { return Ok(()) };
        let spec = self.job_files.in_force(entry.spec.clone(), revision);
        if spec.revision != revision {
            return Err(format!("revision {revision} cannot be read"));
        }
        let order = self.order(&spec, &entry.job, entry.job.attempt);
        write_json(&folder.check_order(revision), &order).map_err(|error| error.to_string())?;
        let Some(entry) = self.jobs.get_mut(&id) else { return Ok(()) };
        let failed = |error: std::io::Error| format!("cannot start {}: {error}", self.settings.program.display());
        let mut child = start_check(&self.settings.program, &folder, revision).map_err(failed)?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(std::io::Error::from);
        match process.and_then(|process| self.deaths.add(id, JobProcess::Check, process)) {
            Ok(()) => {
                entry.check = Some(child);
                Ok(())
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(failed(error))
            }
        }
    }

    /// The process of a check has ended.
    pub(super) fn check_died(&mut self, id: JobId) {
        let folder = self.job_files.folder(id);
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        let status = match entry.check.as_mut().map(Child::try_wait) {
            // The news is of an earlier check.
            Some(Ok(None)) => return,
            Some(Ok(status)) => status,
            None | Some(Err(_)) => None,
        };
        entry.check = None;
        self.clear_after(id);
        let Some(revision) = self.jobs.get(&id).and_then(|entry| entry.in_check()) else { return };
        let event = match read_json::<JobCheck>(&folder.check(revision)) {
            Ok(JobCheck { objection: Some(objection), .. }) => Event::Objected {
                exit_code: objection.exit_code,
                message: message_of(&objection.error).unwrap_or_default(),
            },
            Ok(JobCheck { class, .. }) => Event::Checked { class: class.unwrap_or(RestartClass::LosesState) },
            Err(error) => {
                let how = status.map_or_else(|| error.to_string(), ended_with);
                let words = last_words(&folder.revision(revision).join("check.txt"));
                let words = words.map(|words| format!(": {words}")).unwrap_or_default();
                Event::CheckBroke { message: format!("the check of the pipeline broke: {how}{words}") }
            }
        };
        self.happen(id, event);
    }

    /// Ends a check whose result nobody waits for.
    pub(super) fn end_check(&mut self, id: JobId) {
        self.to_check.retain(|waiting| *waiting != id);
        let check = self.jobs.get_mut(&id).and_then(|entry| entry.check.take());
        if let Some(mut child) = check {
            let _ = child.kill();
            self.lingering.push(child);
        }
    }
}
