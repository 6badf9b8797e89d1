use std::collections::BTreeMap;
use std::time::SystemTime;

use sage_jobs::{JobState, JobStatus, read_json};
use sage_plan::config::TenantName;

use super::entry::Entry;
use super::settings::StopJobs;
use super::thread::Server;
use crate::state::{Event, State, StopMode};
use crate::store::JobId;

/// Milliseconds between two looks at a job that starts.
const STARTING: u64 = 20;
/// Milliseconds between two looks while something else is awaited of which nothing is told.
const AWAITING: u64 = 1000;
/// Longest time between two looks.
const IDLE: u64 = 60_000;
/// Milliseconds between two collections of unused files.
const COLLECT: u64 = 10 * 60 * 1000;

impl Server {
    /// Everything that time or the last piece of mail made due.
    pub(super) fn work(&mut self, now: u64) {
        self.save_again(now);
        self.lingering.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        for id in self.ids(|entry| deadline(entry).is_some_and(|deadline| deadline <= now)) {
            self.happen(id, Event::Tick);
        }
        for id in self.ids(|entry| entry.job.state == State::Starting) {
            self.look_at_start(id);
        }
        for id in self.ids(|entry| entry.job.state.is_live() && !entry.watched) {
            self.look_at(id, false);
        }
        for id in self.ids(|entry| asks_again(entry, now)) {
            self.happen(id, Event::Restored);
        }
        self.start_checks();
        self.start_jobs(now);
        self.collect(now);
        self.tidy(now);
        self.clear_groups();
    }

    /// Milliseconds until the next look, if no mail comes.
    pub(super) fn next_look(&self, now: u64) -> u64 {
        let mut next = IDLE;
        if !self.queue.is_empty()
            || !self.lingering.is_empty()
            || !self.to_clear.is_empty()
            || self.read_only.is_some()
            || !self.unsaved.is_empty()
        {
            next = AWAITING;
        }
        for entry in self.jobs.values() {
            if entry.job.state == State::Starting {
                return STARTING;
            }
            let awaits = entry.job.state.is_live() && (!entry.watched || entry.asked.is_some_and(|asked| !asked.taken));
            if awaits {
                next = next.min(AWAITING);
            }
            if let Some(deadline) = deadline(entry) {
                next = next.min(deadline.saturating_sub(now));
            }
        }
        next.max(1)
    }

    fn ids(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<JobId> {
        self.jobs.iter().filter(|(_, entry)| wanted(entry)).map(|(id, _)| *id).collect()
    }

    /// Whether records of a job that starts flow by now.
    fn look_at_start(&mut self, id: JobId) {
        let status: Option<JobStatus> = read_json(&self.job_files.folder(id).status()).ok();
        if let Some(status) = status.filter(|status| status.state != JobState::Starting) {
            self.happen(id, Event::Runs { attempt: status.attempt });
        }
    }

    fn start_jobs(&mut self, now: u64) {
        if self.read_only.is_some() || self.ending.is_some() {
            return;
        }
        let starting = |server: &Self| server.jobs.values().filter(|entry| entry.job.state == State::Starting).count();
        while starting(self) < self.settings.starts {
            let running = self.running_of_tenants();
            let settings = &self.settings;
            let may_start = |tenant: &Option<TenantName>| {
                let most = settings.ceiling(tenant.as_ref()).and_then(|ceiling| ceiling.jobs);
                most.is_none_or(|most| running.get(tenant).copied().unwrap_or(0) < most)
            };
            let Some(id) = self.queue.choose(now, may_start) else { return };
            self.happen(id, Event::Chosen);
            if self.read_only.is_some() {
                return;
            }
        }
    }

    /// Jobs with a process, for each tenant.
    pub(super) fn running_of_tenants(&self) -> BTreeMap<Option<TenantName>, u64> {
        let mut running = BTreeMap::new();
        for entry in self.jobs.values().filter(|entry| entry.job.state.is_live()) {
            *running.entry(entry.spec.tenant.clone()).or_insert(0) += 1;
        }
        running
    }

    /// Writes states that could not be written, and finds out whether the state folder takes writes again.
    fn save_again(&mut self, now: u64) {
        if self.read_only.is_none() || now < self.tried.saturating_add(AWAITING / 2) {
            return;
        }
        self.tried = now;
        if let Err(error) = self.state.try_write() {
            return self.cannot_write(&error);
        }
        for id in self.unsaved.clone() {
            let Some(entry) = self.jobs.get_mut(&id) else { continue };
            if let Err(error) = self.job_files.save(id, &entry.job) {
                return self.cannot_write(&error);
            }
            entry.unsaved = false;
            self.unsaved.remove(&id);
        }
        self.read_only = None;
        tracing::info!("the state folder can be written again");
    }

    fn collect(&mut self, now: u64) {
        if now < self.collected.saturating_add(COLLECT) {
            return;
        }
        self.collected = now;
        match self.files.collect_all(SystemTime::now()) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "unused files were removed"),
            Err(error) => tracing::warn!(%error, "unused files cannot be removed"),
        }
    }

    /// Ends the server, with or without its jobs.
    pub(super) fn end(&mut self, jobs: StopJobs) {
        self.ending = Some(jobs);
        if jobs == StopJobs::Drain {
            for id in self.ids(|entry| entry.job.state.is_live()) {
                self.happen(id, Event::Stop { mode: StopMode::Drain, timeout: None });
            }
        }
    }
}

/// When something is due. The deadline of a check begins with its process.
fn deadline(entry: &Entry) -> Option<u64> {
    let waits = entry.job.state == State::Checking && entry.check.is_none();
    let of_rollout = entry.job.rollout.as_ref().and_then(|rollout| rollout.until);
    entry.job.deadline.filter(|_| !waits).into_iter().chain(of_rollout).min()
}

/// What was asked of a process may not have reached it, for example because it was just starting.
fn asks_again(entry: &Entry, now: u64) -> bool {
    let ends = matches!(entry.job.state, State::Draining | State::Aborting);
    ends && entry.asked.is_some_and(|asked| !asked.taken && asked.at + AWAITING <= now)
}
