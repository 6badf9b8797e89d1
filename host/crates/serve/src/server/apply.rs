use sage_jobs::{ControlRequest, now};

use super::entry::{Asked, Entry};
use super::thread::Server;
use crate::process::holder;
use crate::queue::Blocked;
use crate::state::{Action, Blame, Event, Job, State, StopMode, next};
use crate::store::{EventLog, JobEvent, JobId, StoreError};

impl Server {
    /// Lets an event happen to a job: the new state is written, then its actions are performed.
    pub(super) fn happen(&mut self, id: JobId, event: Event) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        let (job, actions) = next(&entry.job, event, now());
        if job == entry.job && actions.is_empty() {
            return;
        }
        let spawns = actions.iter().any(|action| matches!(action, Action::Spawn { .. }));
        if job != entry.job {
            let saved = self.job_files.save(id, &job);
            let Some(entry) = self.jobs.get_mut(&id) else { return };
            match saved {
                Ok(()) => {
                    entry.unsaved = false;
                    self.unsaved.remove(&id);
                }
                Err(error) => {
                    entry.unsaved = true;
                    self.unsaved.insert(id);
                    self.cannot_write(&error);
                    if spawns {
                        // The job keeps its place in the queue.
                        let tenant = self.jobs.get(&id).and_then(|entry| entry.spec.tenant.clone());
                        let weight = self.settings.weight(tenant.as_ref());
                        self.queue.add(&tenant, weight, id, Some(Blocked::ByMachine));
                        return;
                    }
                }
            }
            let Some(entry) = self.jobs.get_mut(&id) else { return };
            let before = std::mem::replace(&mut entry.job, job);
            if before.revision != entry.job.revision {
                entry.spec = self.job_files.in_force(entry.spec.clone(), entry.job.revision);
            }
            let changed = before.state.name() != entry.job.state.name() || before.attempt != entry.job.attempt;
            Self::note_wait(entry, &mut self.waits);
            let state = entry.job.state;
            self.to_tidy |= changed && state.is_ended();
            if state == State::Starting && blocked(&before).is_some() {
                entry.retries = true;
            } else if changed && !(entry.retries && blocked(&entry.job).is_some()) {
                let from = if std::mem::take(&mut entry.retries) { State::Queued } else { before.state };
                self.tell(id, Some(from));
            }
            self.tell_rollout(id, &before);
        }
        for action in actions {
            self.perform(id, action);
        }
    }

    fn perform(&mut self, id: JobId, action: Action) {
        match action {
            Action::Check => self.to_check.push_back(id),
            Action::EndCheck => self.end_check(id),
            Action::Enqueue => {
                let Some(entry) = self.jobs.get(&id) else { return };
                let tenant = entry.spec.tenant.clone();
                let weight = self.settings.weight(tenant.as_ref());
                self.queue.add(&tenant, weight, id, blocked(&entry.job));
            }
            Action::Dequeue => self.queue.remove(&id),
            Action::Spawn { attempt } => self.start_attempt(id, attempt),
            Action::End { mode, timeout } => self.end_process(id, mode, timeout),
        }
    }

    /// Asks the process of a job to end, or kills it.
    fn end_process(&mut self, id: JobId, mode: StopMode, timeout: u64) {
        let socket = self.socket(id);
        let folder = self.job_files.folder(id);
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        entry.asked = Some(Asked { at: now(), taken: false });
        match mode {
            StopMode::Drain => self.askers.pass(id, socket, ControlRequest::Drain { timeout: Some(timeout) }),
            StopMode::Abort => self.askers.pass(id, socket, ControlRequest::Abort),
            StopMode::Kill => {
                let killed = match &mut entry.child {
                    Some(child) => child.kill().map_err(|error| error.to_string()),
                    None => match holder(folder.path(), &folder.alive_lock()) {
                        Some(process) => rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL)
                            .map_err(|error| error.to_string()),
                        None => Err("its process is not found".to_owned()),
                    },
                };
                if let Err(error) = killed {
                    tracing::warn!(job = %entry.spec.name, %error, "a job cannot be killed; trying again");
                }
            }
        }
    }

    /// The job took the request to end.
    pub(super) fn answered(&mut self, id: JobId) {
        if let Some(Entry { asked: Some(asked), .. }) = self.jobs.get_mut(&id) {
            asked.taken = true;
        }
    }

    /// Tells the begin and the end of a rollout.
    fn tell_rollout(&mut self, id: JobId, before: &Job) {
        let Some(Entry { job, .. }) = self.jobs.get(&id) else { return };
        let said = match (&before.rollout, &job.rollout, &job.last_rollout) {
            (None, Some(rollout), _) => Some(("rollout", format!("revision {} to {}", rollout.from, rollout.to))),
            (Some(_), None, Some(end)) => {
                let why = end.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
                Some((end.outcome.code(), format!("revision {} to {}{why}", end.from, end.to)))
            }
            _ => None,
        };
        if let Some((code, message)) = said {
            self.tell_why(id, None, Some(Blame { code: code.to_owned(), message }));
        }
    }

    /// Tells a change of a job's state to those who listen.
    pub(super) fn tell(&mut self, id: JobId, before: Option<State>) {
        let why = self.jobs.get(&id).and_then(|entry| entry.job.blame.clone());
        self.tell_why(id, before, why);
    }

    fn tell_why(&mut self, id: JobId, before: Option<State>, why: Option<Blame>) {
        let Some(entry) = self.jobs.get(&id) else { return };
        let (code, message) = why.map(|why| (why.code, why.message)).unzip();
        let event = self.feed.add(JobEvent {
            seq: 0,
            at: now(),
            id,
            job: entry.spec.name.clone(),
            tenant: entry.spec.tenant.clone(),
            from: before.map(|state| state.name().to_owned()),
            to: entry.job.state.name().to_owned(),
            attempt: entry.job.attempt,
            revision: entry.job.revision,
            code,
            message,
        });
        if let Err(error) = EventLog::append(&self.job_files.events(id), &event) {
            tracing::debug!(job = %entry.spec.name, %error, "an event is not kept");
        }
    }

    /// Notes that a write into the state folder failed for want of room.
    pub fn note_full(&mut self, why: String) {
        self.read_only = Some(why);
    }

    /// Notes that the state folder cannot be written.
    pub(super) fn cannot_write(&mut self, error: &StoreError) {
        if self.read_only.is_none() {
            tracing::error!(%error, "the server takes no new work until its state folder can be written; jobs go on");
        }
        self.read_only = Some(error.to_string());
    }
}

/// Whether a job waits because others hold what it asks for, and which others.
fn blocked(job: &Job) -> Option<Blocked> {
    match job.blame.as_ref().filter(|_| job.state == State::Queued)?.code.as_str() {
        Blame::MACHINE_FULL => Some(Blocked::ByMachine),
        Blame::TENANT_FULL => Some(Blocked::ByTenant),
        _ => None,
    }
}
