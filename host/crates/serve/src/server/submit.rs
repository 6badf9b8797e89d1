use std::collections::BTreeMap;
use std::path::PathBuf;

use sage_jobs::{JobIsolation, VERSION, now};
use sage_plan::config::TenantName;

use super::denied::Denied;
use super::entry::Entry;
use super::thread::Server;
use crate::state::{Job, Outcome, RestartPolicy, State};
use crate::store::{Digest, IdempotencyKey, JobId, JobName, JobSpec, NewJob, Revision, StoreError};

/// What a user submits.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The tenant. `None`: the owner of the server.
    pub tenant: Option<TenantName>,
    /// The name of the job. `None`: one like the pipeline's, with a number if that is taken.
    pub name: Option<JobName>,
    /// The name of the pipeline.
    pub pipeline_name: String,
    /// The pipeline file.
    pub pipeline: Vec<u8>,
    /// Its path, for messages.
    pub shown_as: Option<PathBuf>,
    /// The folder to which relative paths of data lead.
    pub data: PathBuf,
    /// The paths of components and models that the pipeline file has, and what they are.
    pub files: BTreeMap<String, Digest>,
    /// How instances are isolated.
    pub isolation: JobIsolation,
    /// When another attempt follows.
    pub restart: RestartPolicy,
    /// Milliseconds that a drain may take.
    pub drain_timeout: u64,
    /// Words of the user about the job.
    pub labels: BTreeMap<String, String>,
    /// The key of the request.
    pub idempotency: Option<IdempotencyKey>,
    /// Who submits it.
    pub who: String,
    /// The folder of its checkpoints, as the pipeline file has it.
    pub checkpoint: Option<String>,
}

/// The job of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: JobName,
    /// Whether this request made it. `false`: an earlier one with the same key did.
    pub is_new: bool,
}

/// Milliseconds for which an idempotency key is remembered.
const KEY_LIFE: u64 = 24 * 60 * 60 * 1000;

impl Server {
    /// Takes a job.
    ///
    /// # Errors
    /// See [`Denied`]. Nothing is left of a job that is not taken.
    pub fn submit(&mut self, submission: Submission) -> Result<Submitted, Denied> {
        if let Some(earlier) = self.earlier(&submission)? {
            return Ok(earlier);
        }
        if self.ending.is_some() {
            return Err(Denied::Ending);
        }
        if let Some(why) = &self.read_only {
            return Err(Denied::ReadOnly { why: why.clone() });
        }
        self.may_wait(submission.tenant.as_ref())?;
        self.may_use_files(&submission)?;
        let (name, replaced) = self.free_name(&submission)?;
        let id = JobId::random().map_err(|source| StoreError::Io {
            action: "read",
            path: PathBuf::from("/dev/urandom"),
            source,
        })?;
        let now = now();
        let spec = JobSpec {
            version: VERSION,
            id,
            name: name.clone(),
            tenant: submission.tenant,
            created: now,
            revision: 1,
            shown_as: submission.shown_as,
            data: submission.data,
            files: submission.files,
            isolation: submission.isolation,
            labels: submission.labels,
            idempotency: submission.idempotency,
        };
        let job = Job::submitted(submission.restart, submission.drain_timeout, now);
        let (name_of_pipeline, who) = (submission.pipeline_name, Some(submission.who));
        let revision = Revision::of(&spec, &submission.pipeline, name_of_pipeline, who, submission.checkpoint);
        let new = NewJob { spec, job, pipeline: submission.pipeline, revision };
        if let Err(error) = self.job_files.create(&new) {
            if error.is_read_only() {
                self.cannot_write(&error);
                return Err(Denied::ReadOnly { why: error.to_string() });
            }
            return Err(error.into());
        }
        if let Some(replaced) = replaced {
            self.forget(replaced)?;
        }
        self.names.insert((new.spec.tenant.clone(), name.clone()), id);
        self.jobs.insert(id, Entry::new(new.spec, new.job));
        self.tell(id, None);
        self.to_check.push_back(id);
        Ok(Submitted { id, name, is_new: true })
    }

    /// Whether the files of a submission are here, and signed where the tenant needs that.
    pub(super) fn may_use_files(&self, submission: &Submission) -> Result<(), Denied> {
        let tenant = submission.tenant.as_ref();
        let files = self.files.of(tenant);
        let missing: Vec<Digest> =
            submission.files.values().filter(|digest| files.find(digest).is_none()).copied().collect();
        if !missing.is_empty() {
            return Err(Denied::FilesMissing { digests: missing });
        }
        let needs = self.settings.required_signers(tenant).is_some();
        match submission.files.iter().find(|(_, digest)| needs && files.signature(digest).is_none()) {
            Some((path, _)) => Err(Denied::Unsigned { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Whether another job of a tenant may wait.
    fn may_wait(&self, tenant: Option<&TenantName>) -> Result<(), Denied> {
        let limit = self.settings.ceiling(tenant).and_then(|ceiling| ceiling.queued);
        let (Some(tenant), Some(limit)) = (tenant, limit) else { return Ok(()) };
        let used = self.waiting(tenant);
        if used < limit {
            return Ok(());
        }
        Err(Denied::Quota { tenant: tenant.to_string(), resource: "queued", requested: 1, used, limit })
    }

    /// Jobs of a tenant that wait to run.
    pub(super) fn waiting(&self, tenant: &TenantName) -> u64 {
        let waits = |state| matches!(state, State::Checking | State::Queued | State::Backoff);
        let mut waiting = 0;
        for entry in self.jobs.values().filter(|entry| entry.spec.tenant.as_ref() == Some(tenant)) {
            waiting += u64::from(waits(entry.job.state));
        }
        waiting
    }

    /// The job that an earlier request with the same key made.
    fn earlier(&self, submission: &Submission) -> Result<Option<Submitted>, Denied> {
        let Some(IdempotencyKey { key, request }) = &submission.idempotency else { return Ok(None) };
        let oldest = now().saturating_sub(KEY_LIFE);
        let mut earlier = self.jobs.values().filter(|entry| {
            let same = entry.spec.idempotency.as_ref().is_some_and(|idempotency| idempotency.key == *key);
            same && entry.spec.tenant == submission.tenant && entry.spec.created >= oldest
        });
        let Some(Entry { spec, .. }) = earlier.next() else { return Ok(None) };
        if spec.idempotency.as_ref().is_some_and(|idempotency| idempotency.request != *request) {
            return Err(Denied::KeyReused { key: key.clone() });
        }
        Ok(Some(Submitted { id: spec.id, name: spec.name.clone(), is_new: false }))
    }

    /// A name for the job, and the job that gives it up: one that was rejected has no use for it.
    fn free_name(&self, submission: &Submission) -> Result<(JobName, Option<JobId>), Denied> {
        let holder = |name: &JobName| self.names.get(&(submission.tenant.clone(), name.clone())).copied();
        if let Some(name) = &submission.name {
            let Some(id) = holder(name) else { return Ok((name.clone(), None)) };
            let state = self.jobs.get(&id).map(|entry| entry.job.state);
            return match state {
                None | Some(State::Ended { outcome: Outcome::Rejected, .. }) => Ok((name.clone(), Some(id))),
                Some(state) => Err(Denied::NameTaken { name: name.to_string(), state: state.name() }),
            };
        }
        let name = JobName::like(&submission.pipeline_name);
        let numbered = (2..).map(|number| name.numbered(number));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let free = names.find(|name| holder(name).is_none()).unwrap_or(name);
        Ok((free, None))
    }
}
