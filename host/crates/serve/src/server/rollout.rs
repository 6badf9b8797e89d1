use sage_jobs::{JobCheck, RestartClass, now, read_json};
use serde::{Deserialize, Serialize};

use super::denied::Denied;
use super::submit::Submission;
use super::thread::Server;
use crate::state::{Event, Rollout, RolloutEnd, State};
use crate::store::{Digest, JobFiles, JobId, Revision};

/// How a revision comes into force.
#[derive(Debug, Clone, Copy)]
pub struct RolloutTerms {
    /// The revision that the client believes to be in force. `None`: any.
    pub expected: Option<u32>,
    /// Milliseconds for which the new revision must run without a failure, or the one before comes back.
    pub watch: u64,
    /// Whether a running job may begin anew.
    pub accepts_loss: bool,
}

/// The revisions of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionList {
    /// Number of the one in force.
    pub current: u32,
    /// The change that is under way.
    pub rollout: Option<Rollout>,
    /// How the last change ended.
    pub last_rollout: Option<RolloutEnd>,
    /// All revisions that are kept, the oldest first.
    pub revisions: Vec<Revision>,
}

/// A revision with its pipeline file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevisionDetail {
    /// The revision.
    #[serde(flatten)]
    pub revision: Revision,
    /// The text of the pipeline file.
    pub text: String,
    /// The result of its check.
    pub check: Option<JobCheck>,
}

impl Server {
    /// Adds a revision to a job and begins to roll it out. Returns `false` if the revision in force runs the same.
    ///
    /// # Errors
    /// See [`Denied`]. The job is then unchanged.
    pub fn roll_out(
        &mut self,
        id: JobId,
        submission: Submission,
        note: Option<String>,
        terms: RolloutTerms,
    ) -> Result<bool, Denied> {
        self.may_roll_out(id, terms.expected)?;
        let entry = self.jobs.get(&id).ok_or_else(|| Denied::NoSuchJob { name: id.to_string() })?;
        let spec = entry.spec.clone();
        self.may_use_files(&submission)?;
        let current = self.job_files.revision(id, spec.revision)?;
        let mut revision = Revision {
            version: sage_jobs::VERSION,
            number: 0,
            at: now(),
            who: Some(submission.who),
            note,
            pipeline_name: submission.pipeline_name,
            pipeline: Digest::of(&submission.pipeline),
            checkpoint: submission.checkpoint,
            shown_as: submission.shown_as,
            data: submission.data,
            files: submission.files,
            isolation: submission.isolation,
        };
        if revision.runs_the_same(&current) {
            return Ok(false);
        }
        self.may_lose(id, &current, &revision, terms)?;
        revision.number = self.job_files.next_revision(id, &[spec.revision])?;
        if let Err(error) = self.job_files.add_revision(&spec, &revision, &submission.pipeline) {
            if error.is_read_only() {
                self.cannot_write(&error);
                return Err(Denied::ReadOnly { why: error.to_string() });
            }
            return Err(error.into());
        }
        self.happen(id, Event::RollOut { to: revision.number, watch: terms.watch });
        Ok(true)
    }

    /// Begins to roll an earlier revision out. `to`: the one before the one in force by default. Returns `false` if it
    /// is in force.
    ///
    /// # Errors
    /// See [`Denied`]. The job is then unchanged.
    pub fn roll_back(&mut self, id: JobId, to: Option<u32>, terms: RolloutTerms) -> Result<bool, Denied> {
        self.may_roll_out(id, terms.expected)?;
        let list = self.revisions(id)?;
        let before = || list.revisions.iter().rev().map(|one| one.number).find(|number| *number < list.current);
        let to = to.or_else(before).ok_or(Denied::NoEarlierRevision { current: list.current })?;
        if to == list.current {
            return Ok(false);
        }
        let named = |number: u32| list.revisions.iter().find(|one| one.number == number);
        let target = named(to).ok_or(Denied::NoSuchRevision { number: to })?;
        let current = self.job_files.revision(id, list.current)?;
        self.may_lose(id, &current, target, terms)?;
        self.happen(id, Event::RollOut { to, watch: terms.watch });
        Ok(true)
    }

    /// Whether the revision of a job may change now.
    fn may_roll_out(&self, id: JobId, expected: Option<u32>) -> Result<(), Denied> {
        if self.ending.is_some() {
            return Err(Denied::Ending);
        }
        self.writable()?;
        let entry = self.jobs.get(&id).ok_or_else(|| Denied::NoSuchJob { name: id.to_string() })?;
        let current = entry.job.revision;
        if expected.is_some_and(|expected| expected != current) {
            return Err(Denied::RevisionChanged { name: entry.spec.name.to_string(), current });
        }
        if let Some(rollout) = &entry.job.rollout {
            return Err(Denied::RolloutUnderWay { name: entry.spec.name.to_string(), to: rollout.to });
        }
        if entry.job.state == State::Checking {
            return Err(Denied::StillChecking { name: entry.spec.name.to_string() });
        }
        Ok(())
    }

    /// Whether the new revision can go on from the checkpoints of the one before, and whether a job that runs may begin
    /// anew, if it would.
    fn may_lose(&self, id: JobId, current: &Revision, new: &Revision, terms: RolloutTerms) -> Result<(), Denied> {
        let Some(entry) = self.jobs.get(&id) else { return Ok(()) };
        let runs = matches!(entry.job.state, State::Starting | State::Running);
        if new.shares_checkpoints(current) && new.pipeline_name != current.pipeline_name {
            let (is, was) = (new.pipeline_name.clone(), current.pipeline_name.clone());
            return Err(Denied::OtherPipeline { is, was });
        }
        if !runs || terms.accepts_loss || new.shares_checkpoints(current) {
            return Ok(());
        }
        let lost = match entry.job.class {
            Some(RestartClass::Idempotent) => "its input is read from the beginning again, and gives its outputs anew",
            Some(RestartClass::AtLeastOnce) => {
                "its input is read from the beginning again, and what it did outside of its files is done a second time"
            }
            Some(RestartClass::LosesState) | None => {
                "what its sources gave before does not come again, and the state that came from it is lost"
            }
        };
        let class = entry.class().unwrap_or("loses-state");
        Err(Denied::BeginsAnew { name: entry.spec.name.to_string(), class, lost })
    }

    /// The revisions of a job.
    ///
    /// # Errors
    /// [`Denied::NoSuchJob`]; its folder cannot be read.
    pub fn revisions(&self, id: JobId) -> Result<RevisionList, Denied> {
        let entry = self.jobs.get(&id).ok_or_else(|| Denied::NoSuchJob { name: id.to_string() })?;
        Ok(RevisionList {
            current: entry.job.revision,
            rollout: entry.job.rollout.clone(),
            last_rollout: entry.job.last_rollout.clone(),
            revisions: self.job_files.revisions(id)?,
        })
    }

    /// The folders of jobs, for readers that need no thread.
    #[must_use]
    pub fn job_files(&self) -> JobFiles {
        self.job_files.clone()
    }
}

impl RevisionDetail {
    /// A revision of a job.
    ///
    /// # Errors
    /// [`Denied::NoSuchRevision`]; its file cannot be read.
    pub fn read(files: &JobFiles, id: JobId, number: u32) -> Result<Self, Denied> {
        let revision = files.revision(id, number).map_err(|_| Denied::NoSuchRevision { number })?;
        let text = files.pipeline_text(id, number)?;
        Ok(Self { revision, text, check: read_json(&files.folder(id).check(number)).ok() })
    }
}
