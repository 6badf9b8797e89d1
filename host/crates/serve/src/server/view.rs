use std::collections::BTreeMap;
use std::path::PathBuf;

use sage_jobs::{JobCheck, JobEnd, JobFolder, JobStatus, read_json};
use sage_plan::config::TenantName;
use serde::{Deserialize, Serialize};

use super::denied::Denied;
use super::entry::Entry;
use super::thread::Server;
use crate::state::{Desired, Outcome, RestartOn, Rollout, RolloutEnd, State};
use crate::store::{Digest, JobId, JobName};

/// A job in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRow {
    /// Its identifier.
    pub id: JobId,
    /// Its name.
    pub name: JobName,
    /// Its tenant; absent for jobs of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// The state, in a word.
    pub state: String,
    /// Start of the state, in milliseconds since the Unix epoch.
    pub since: u64,
    /// Time of its submission.
    pub created: u64,
    /// The reason for the state, as a stable word.
    pub code: Option<String>,
    /// The reason for the state, for people.
    pub why: Option<String>,
    /// Number of its revision.
    pub revision: u32,
    /// Number of its last attempt.
    pub attempt: u32,
    /// Restarts after crashes and failures.
    pub restarts: u32,
    /// The exit code that `run` would have had, once it has ended.
    pub exit_code: Option<u8>,
    /// Records that its sources gave in this attempt.
    pub records_in: Option<u64>,
    /// Records that its sinks took.
    pub records_out: Option<u64>,
    /// Records rejected by any stage.
    pub rejected: Option<u64>,
    /// Bytes of memory that its instances use.
    pub memory_used: Option<u64>,
    /// Bytes of memory that its instances may use.
    pub memory_limit: Option<u64>,
    /// Seconds of CPU that its instances have used.
    pub cpu_seconds: Option<f64>,
}

/// Everything about a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobDetail {
    /// The job as a list has it.
    #[serde(flatten)]
    pub row: JobRow,
    /// The wish of its user: `running` or `stopped`.
    pub desired: Desired,
    /// The restart policy, for attempts that its user did not end.
    pub restart: RestartOn,
    /// Cost of another attempt: `idempotent`, `at-least-once`, `loses-state`.
    pub class: Option<String>,
    /// The pipeline file that was submitted.
    pub pipeline: Option<PathBuf>,
    /// The folder to which relative paths of data lead.
    pub data: PathBuf,
    /// The files that came with it.
    pub files: BTreeMap<String, Digest>,
    /// Words of its user about it.
    pub labels: BTreeMap<String, String>,
    /// The change of its revision that is under way.
    #[serde(default)]
    pub rollout: Option<Rollout>,
    /// How the last change ended.
    #[serde(default)]
    pub last_rollout: Option<RolloutEnd>,
    /// The result of its check.
    pub check: Option<JobCheck>,
    /// The status of its attempt.
    pub status: Option<JobStatus>,
    /// The end of its attempt.
    pub end: Option<JobEnd>,
}

/// A part of the list of jobs, the oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobRow>,
    /// Start of the next part; absent at the end.
    pub next: Option<String>,
}

/// The choice of jobs for a list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// `live` (jobs that have not ended), `ended`, or a state. `None`: all.
    pub state: Option<String>,
    /// A part of the name. `None`: all names.
    pub name: Option<String>,
    /// The end of the page before.
    pub after: Option<(u64, JobId)>,
    /// Most jobs of a page.
    pub limit: usize,
}

impl JobFilter {
    fn takes(&self, entry: &Entry) -> bool {
        let state = entry.job.state;
        let wanted = match self.state.as_deref() {
            None => true,
            Some("live") => !state.is_ended(),
            Some("ended") => state.is_ended(),
            Some(name) => state.name() == name,
        };
        let named = self.name.as_deref().is_none_or(|part| entry.spec.name.as_str().contains(part));
        wanted && named && self.after.is_none_or(|after| (entry.spec.created, entry.spec.id) > after)
    }
}

impl Server {
    /// A part of the list of a tenant's jobs, or of all jobs.
    #[must_use]
    pub fn list(&self, tenant: Option<&TenantName>, filter: &JobFilter) -> JobPage {
        let of = |entry: &Entry| tenant.is_none_or(|tenant| entry.spec.tenant.as_ref() == Some(tenant));
        let mut entries: Vec<&Entry> = self.jobs.values().filter(|entry| of(entry) && filter.takes(entry)).collect();
        entries.sort_by_key(|entry| (entry.spec.created, entry.spec.id));
        let more = entries.len() > filter.limit;
        entries.truncate(filter.limit);
        let last = entries.last().filter(|_| more);
        let next = last.map(|entry| format!("{}-{}", entry.spec.created, entry.spec.id));
        JobPage { jobs: entries.into_iter().map(|entry| self.row(entry)).collect(), next }
    }

    /// Everything about a job.
    ///
    /// # Errors
    /// [`Denied::NoSuchJob`].
    pub fn detail(&self, id: JobId) -> Result<JobDetail, Denied> {
        let gone = || Denied::NoSuchJob { name: id.to_string() };
        let entry = self.jobs.get(&id).ok_or_else(gone)?;
        let (folder, spec) = (self.job_files.folder(id), &entry.spec);
        let attempt = entry.job.attempt;
        Ok(JobDetail {
            row: self.row(entry),
            desired: entry.job.desired,
            restart: entry.job.restart.effective(entry.job.class),
            class: entry.class().map(str::to_owned),
            pipeline: spec.shown_as.clone(),
            data: spec.data.clone(),
            files: spec.files.clone(),
            labels: spec.labels.clone(),
            rollout: entry.job.rollout.clone(),
            last_rollout: entry.job.last_rollout.clone(),
            check: read_json(&folder.check(spec.revision)).ok(),
            status: status(&folder, attempt).filter(|_| entry.job.state.is_live()),
            end: read_json(&folder.end()).ok().filter(|end: &JobEnd| end.attempt == attempt),
        })
    }

    /// The control socket of a job whose process may live, and the number of its attempt.
    ///
    /// # Errors
    /// [`Denied::NotLive`] if there is no process.
    pub fn live_attempt(&self, id: JobId) -> Result<(PathBuf, u32), Denied> {
        let entry = self.jobs.get(&id).ok_or_else(|| Denied::NoSuchJob { name: id.to_string() })?;
        let state = entry.job.state;
        if !state.is_live() {
            return Err(Denied::NotLive { name: entry.spec.name.to_string(), state: state.name() });
        }
        Ok((self.socket(id), entry.job.attempt))
    }

    /// The folder of a job.
    #[must_use]
    pub fn folder(&self, id: JobId) -> JobFolder {
        self.job_files.folder(id)
    }

    /// Whether a job has ended, or is not there any more.
    #[must_use]
    pub fn is_over(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_none_or(|entry| entry.job.state.is_ended())
    }

    /// The file with the result of a job's check.
    #[must_use]
    pub fn check_file(&self, id: JobId) -> PathBuf {
        let revision = self.jobs.get(&id).map_or(1, |entry| entry.spec.revision);
        self.job_files.folder(id).check(revision)
    }

    /// The file of a job's events.
    #[must_use]
    pub fn events_file(&self, id: JobId) -> PathBuf {
        self.job_files.events(id)
    }

    pub(super) fn row(&self, entry: &Entry) -> JobRow {
        let (spec, job) = (&entry.spec, &entry.job);
        let status = if job.state.is_live() { status(&self.job_files.folder(spec.id), job.attempt) } else { None };
        let stages = status.as_ref().map(|status| status.stages.as_slice()).unwrap_or_default();
        let known = !stages.is_empty();
        let sum = |of: fn(&sage_jobs::JobStage) -> u64| stages.iter().map(of).sum();
        let records_in = |stage: &sage_jobs::JobStage| if stage.kind == "source" { stage.records_out } else { 0 };
        let records_out = |stage: &sage_jobs::JobStage| if stage.kind == "sink" { stage.records_in } else { 0 };
        let memory = |of: fn(&sage_jobs::JobStage) -> Option<u64>| {
            let known: Vec<u64> = stages.iter().filter_map(of).collect();
            if known.is_empty() { None } else { Some(known.iter().sum()) }
        };
        let why = job.blame.as_ref().map(|blame| blame.message.clone()).or_else(|| self.waits_for(entry));
        JobRow {
            id: spec.id,
            name: spec.name.clone(),
            tenant: spec.tenant.clone(),
            state: job.state.name().to_owned(),
            since: job.since,
            created: spec.created,
            code: job.blame.as_ref().map(|blame| blame.code.clone()),
            why,
            revision: job.revision,
            attempt: job.attempt,
            restarts: u32::try_from(job.restarts.len()).unwrap_or(u32::MAX),
            exit_code: if let State::Ended { exit_code, .. } = job.state { Some(exit_code) } else { None },
            records_in: known.then(|| sum(records_in)),
            records_out: known.then(|| sum(records_out)),
            rejected: known.then(|| sum(|stage| stage.rejected)),
            memory_used: memory(|stage| stage.memory_used),
            memory_limit: memory(|stage| stage.memory_limit),
            cpu_seconds: known.then(|| stages.iter().map(|stage| stage.cpu_seconds).sum()),
        }
    }

    fn is_full(&self, entry: &Entry) -> bool {
        let most = self.settings.ceiling(entry.spec.tenant.as_ref()).and_then(|ceiling| ceiling.jobs);
        most.is_some_and(|most| self.running_of_tenants().get(&entry.spec.tenant).is_some_and(|now| *now >= most))
    }

    /// The reason why a job waits that was not refused.
    fn waits_for(&self, entry: &Entry) -> Option<String> {
        if let Some(why) = self.read_only.as_ref().filter(|_| entry.job.state == State::Queued) {
            return Some(format!("no job is started: {why}"));
        }
        match entry.job.state {
            State::Queued if self.is_full(entry) => Some("the tenant has as many running jobs as it may".to_owned()),
            State::Queued => Some(match self.queue.ahead(&entry.spec.id) {
                None | Some(0) => "next to start".to_owned(),
                Some(1) => "1 job is before it".to_owned(),
                Some(ahead) => format!("{ahead} jobs are before it"),
            }),
            State::Checking if entry.check.is_none() => Some("other pipelines are being checked".to_owned()),
            State::Ended { outcome: Outcome::Stopped, .. } if entry.job.attempt == 0 => {
                Some("stopped before it began".to_owned())
            }
            _ => None,
        }
    }
}

fn status(folder: &JobFolder, attempt: u32) -> Option<JobStatus> {
    read_json(&folder.status()).ok().filter(|status: &JobStatus| status.attempt == attempt)
}
