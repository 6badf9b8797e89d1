use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sage_jobs::{AliveLock, JobEnd, JobError, JobOrder, JobOutcome, VERSION, last_attempt, read_json, write_json};
use sage_machine::cgroup::Delegation;
use sage_plan::config::TenantName;
use serde_json::Value;

use super::entry::Entry;
use super::thread::Server;
use crate::process::{JobProcess, ended_with, last_words, start_job};
use crate::state::{Event, Job};
use crate::store::{JobId, JobSpec, named_in_file};

impl Server {
    /// The control socket of a job.
    pub(super) fn socket(&self, id: JobId) -> PathBuf {
        self.settings.sockets.join(id.to_string())
    }

    /// Starts the process of an attempt, whose number is on disk.
    pub(super) fn start_attempt(&mut self, id: JobId, attempt: u32) {
        if let Err(message) = self.try_start(id, attempt) {
            self.happen(id, Event::NotStarted { attempt, message });
        }
    }

    fn try_start(&mut self, id: JobId, attempt: u32) -> Result<(), String> {
        self.write_order(id, attempt)?;
        let folder = self.job_files.folder(id);
        let Some(entry) = self.jobs.get_mut(&id) else { return Ok(()) };
        let failed = |error: JobError| error.to_string();
        let lock = AliveLock::take(&folder.alive_lock()).map_err(failed)?;
        let child = start_job(&self.settings.program, &folder, lock)
            .map_err(|error| format!("cannot start {}: {error}", self.settings.program.display()))?;
        entry.asked = None;
        // The child is not reaped before this server knows of its death, so its number is its own.
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        entry.child = Some(child);
        entry.watched = process.is_ok_and(|process| self.deaths.add(id, JobProcess::Attempt, process).is_ok());
        Ok(())
    }

    /// Writes what the next attempt of a job runs.
    fn write_order(&self, id: JobId, attempt: u32) -> Result<(), String> {
        let Some(Entry { spec, job, .. }) = self.jobs.get(&id) else { return Ok(()) };
        if spec.revision != job.revision {
            return Err(format!("revision {} cannot be read", job.revision));
        }
        let order = self.order(spec, job, attempt);
        write_json(&self.job_files.folder(id).order(), &order).map_err(|error| error.to_string())
    }

    /// What an attempt or a check of a revision reads.
    pub(super) fn order(&self, spec: &JobSpec, job: &Job, attempt: u32) -> JobOrder {
        let id = spec.id;
        let order = JobOrder {
            version: VERSION,
            id: id.to_string(),
            name: spec.name.to_string(),
            tenant: spec.tenant.clone().map(String::from),
            revision: spec.revision,
            attempt,
            pipeline: self.job_files.pipeline(id, spec.revision),
            shown_as: spec.shown_as.clone(),
            files: self.job_files.came_with(spec),
            data: spec.data.clone(),
            host_file: self.settings.host_file.clone(),
            isolation: spec.isolation,
            drain_timeout: Duration::from_millis(job.drain_timeout),
            socket: self.socket(id),
            folders: Vec::new(),
            connect: Vec::new(),
            models: None,
            signers: None,
            secrets: named_in_file(&self.secrets.of(spec.tenant.as_ref()), &self.job_files.pipeline(id, spec.revision)),
            user: None,
            cache: None,
            hard_limits: false,
        };
        self.settings.granted(order, spec.tenant.as_ref())
    }

    /// A process of the job has ended.
    pub(super) fn died(&mut self, id: JobId, process: JobProcess) {
        if process == JobProcess::Check {
            return self.check_died(id);
        }
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        entry.watched = false;
        self.look_at(id, false);
    }

    /// Looks whether the process of a job that should have one is gone, and how its attempt ended. `found`: the job was
    /// found by a server that has just started.
    pub(super) fn look_at(&mut self, id: JobId, found: bool) {
        let folder = self.job_files.folder(id);
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if !entry.job.state.is_live() {
            return;
        }
        match AliveLock::is_held(&folder.alive_lock()) {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => return tracing::warn!(job = %entry.spec.name, %error, "the lock of a job cannot be read"),
        }
        let status = match entry.child.take() {
            None => None,
            Some(mut child) => match child.try_wait() {
                Ok(status @ Some(_)) => status,
                // It has released its lock and is about to end. Nothing here waits for that.
                _ => {
                    self.lingering.push(child);
                    None
                }
            },
        };
        let attempt = entry.job.attempt;
        let end: Option<JobEnd> = read_json(&folder.end()).ok().filter(|end: &JobEnd| end.attempt == attempt);
        let event = match end {
            Some(end) => {
                let message = end.error.as_ref().and_then(message_of);
                Event::Ended { attempt, outcome: end.outcome, exit_code: end.exit_code, message }
            }
            None if found && last_attempt(&folder).is_ok_and(|last| last < Some(attempt)) => {
                Event::NeverBegan { attempt }
            }
            None => {
                let how = status.map_or_else(|| "its process is gone".to_owned(), ended_with);
                let words = last_words(&folder.stderr()).map(|words| format!(": {words}")).unwrap_or_default();
                Event::Crashed { attempt, message: how + &words }
            }
        };
        self.clear_after(id);
        // An attempt that found no room held nothing that others could have now.
        if !matches!(event, Event::Ended { outcome: JobOutcome::NoRoom | JobOutcome::TenantFull, .. }) {
            self.queue.ended();
        }
        self.happen(id, event);
    }
}

impl Server {
    /// Removes what a job with a user of its own cannot remove: its socket, and the control group of its tenant if it
    /// was the last one there.
    pub(super) fn clear_after(&mut self, id: JobId) {
        let Some(tenant) = self.jobs.get(&id).and_then(|entry| entry.spec.tenant.clone()) else { return };
        if self.settings.users_of_tenants.contains_key(&tenant) {
            // The job has removed it if it ran as the user of the server.
            let _ = std::fs::remove_file(self.socket(id));
            self.to_clear.insert(tenant);
        }
    }

    /// Removes the control groups of tenants whose last job has ended. A process that is about to end keeps its group
    /// for a moment.
    pub(super) fn clear_groups(&mut self) {
        if self.to_clear.is_empty() {
            return;
        }
        let live: BTreeSet<&TenantName> = self
            .jobs
            .values()
            .filter(|entry| entry.job.state.is_live() || entry.check.is_some())
            .filter_map(|entry| entry.spec.tenant.as_ref())
            .collect();
        let (slice, users) = (&self.settings.slice, &self.settings.users_of_tenants);
        self.to_clear.retain(|tenant| {
            let user = users.get(tenant).filter(|_| !live.contains(tenant));
            user.is_some_and(|user| !Delegation::remove(slice, tenant.as_str(), user.user))
        });
    }
}

/// The message of an error as `--output json` prints it.
pub(crate) fn message_of(error: &Value) -> Option<String> {
    let error = error.get("error").unwrap_or(error);
    let message = error.get("message").and_then(Value::as_str)?;
    Some(message.to_owned())
}
