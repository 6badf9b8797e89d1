use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sage_jobs::{JobFolder, write_json};

use super::error::{StoreError, failed};
use super::files::{entries, links};
use super::rebuild::{read_spec, read_state};
use super::state_folder::sync;
use super::{FileStore, JobId, JobSpec, Revision, StateFolder};
use crate::state::Job;

/// The folders of jobs. Beside the files of [`JobFolder`], each has `spec.json` ([`JobSpec`]), `state.json` ([`Job`])
/// and `events.jsonl`.
#[derive(Debug, Clone)]
pub struct JobFiles {
    jobs: PathBuf,
    unreadable: PathBuf,
    files: FileStore,
}

/// A job to make a folder for.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What its user asked for.
    pub spec: JobSpec,
    /// Its first state.
    pub job: Job,
    /// The pipeline file.
    pub pipeline: Vec<u8>,
    /// Its first revision.
    pub revision: Revision,
}

/// A job that was found in the state folder.
#[derive(Debug, Clone)]
pub struct KnownJob {
    /// What its user asked for.
    pub spec: JobSpec,
    /// Its last state.
    pub job: Job,
    /// The file that was corrupt or absent, and was made anew from the others.
    pub rebuilt: Option<&'static str>,
}

/// Ends of names of folders that are being made or removed.
const MAKING: &str = ".new";
const REMOVING: &str = ".gone";

impl JobFiles {
    /// The folders of a state folder.
    #[must_use]
    pub fn new(state: &StateFolder, files: &FileStore) -> Self {
        Self { jobs: state.jobs(), unreadable: state.unreadable(), files: files.clone() }
    }

    pub(super) fn store(&self) -> &FileStore {
        &self.files
    }

    /// The folder of a job.
    #[must_use]
    pub fn folder(&self, id: JobId) -> JobFolder {
        JobFolder::new(self.jobs.join(id.to_string()))
    }

    /// The pipeline file of a revision.
    #[must_use]
    pub fn pipeline(&self, id: JobId, revision: u32) -> PathBuf {
        self.folder(id).revision(revision).join("pipeline.toml")
    }

    /// The file of a job's events.
    #[must_use]
    pub fn events(&self, id: JobId) -> PathBuf {
        self.folder(id).path().join("events.jsonl")
    }

    /// The files that came with a pipeline file: the paths that it has, and where they are.
    #[must_use]
    pub fn came_with(&self, spec: &JobSpec) -> BTreeMap<String, PathBuf> {
        links(&self.folder(spec.id).revision(spec.revision), &spec.files)
    }

    /// Makes the folder of a job, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if a file was not uploaded; the folder cannot be written.
    pub fn create(&self, new: &NewJob) -> Result<(), StoreError> {
        let target = self.folder(new.spec.id);
        let making = JobFolder::new(self.jobs.join(format!("{}{MAKING}", new.spec.id)));
        let made = self.fill(&making, new).and_then(|()| {
            fs::rename(making.path(), target.path()).map_err(failed("make", target.path()))?;
            sync(&self.jobs)
        });
        if made.is_err() {
            // What stays is removed by the next start.
            let _ = fs::remove_dir_all(making.path());
        }
        made
    }

    fn fill(&self, folder: &JobFolder, new: &NewJob) -> Result<(), StoreError> {
        let NewJob { spec, job, pipeline, revision } = new;
        self.files.of(spec.tenant.as_ref()).lay_out(folder, spec.revision, pipeline, &spec.files)?;
        write_json(&folder.revision(revision.number).join("revision.json"), revision)?;
        write_json(&folder.path().join("spec.json"), spec)?;
        write_json(&folder.path().join("state.json"), job)?;
        Ok(())
    }

    /// Writes the state of a job.
    ///
    /// # Errors
    /// The file cannot be written. The old state is then on disk.
    pub fn save(&self, id: JobId, job: &Job) -> Result<(), StoreError> {
        Ok(write_json(&self.folder(id).path().join("state.json"), job)?)
    }

    /// Removes a job and everything in its folder.
    ///
    /// # Errors
    /// The folder cannot be renamed. The job is then unchanged.
    pub fn remove(&self, id: JobId) -> Result<(), StoreError> {
        let folder = self.folder(id);
        let gone = self.jobs.join(format!("{id}{REMOVING}"));
        fs::rename(folder.path(), &gone).map_err(failed("remove", folder.path()))?;
        sync(&self.jobs)?;
        if let Err(error) = fs::remove_dir_all(&gone) {
            tracing::warn!(%error, path = %gone.display(), "a removed job leaves files, which the next start removes");
        }
        Ok(())
    }

    /// Finds all jobs. Folders that were being made or removed are removed. A folder of which neither the order nor the
    /// specification can be read is moved aside.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn find_all(&self) -> Result<Vec<KnownJob>, StoreError> {
        let mut jobs = Vec::new();
        for path in entries(&self.jobs)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(MAKING) || name.ends_with(REMOVING) {
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            } else if let Ok(id) = name.parse() {
                match self.find(id) {
                    Ok(job) => jobs.push(job),
                    Err(error) => self.set_aside(&path, &error)?,
                }
            } else {
                tracing::warn!(path = %path.display(), "this is not the folder of a job, and is left alone");
            }
        }
        jobs.sort_by_key(|known| (known.spec.created, known.spec.id));
        Ok(jobs)
    }

    fn find(&self, id: JobId) -> Result<KnownJob, StoreError> {
        let folder = self.folder(id);
        let (spec, spec_rebuilt) = read_spec(&folder, id)?;
        let (job, state_rebuilt) = read_state(&folder)?;
        if spec_rebuilt {
            write_json(&folder.path().join("spec.json"), &spec)?;
        }
        if state_rebuilt {
            self.save(id, &job)?;
        }
        let spec = self.in_force(spec, job.revision);
        let rebuilt = if spec_rebuilt { Some("spec.json") } else { state_rebuilt.then_some("state.json") };
        Ok(KnownJob { spec, job, rebuilt })
    }

    /// The specification with the revision that is in force. If that cannot be read, no attempt of it is started.
    #[must_use]
    pub fn in_force(&self, spec: JobSpec, number: u32) -> JobSpec {
        if spec.revision == number {
            return spec;
        }
        match self.revision(spec.id, number) {
            Ok(revision) => spec.with(revision),
            Err(error) => {
                tracing::error!(job = %spec.name, revision = number, %error, "a revision cannot be read");
                spec
            }
        }
    }

    fn set_aside(&self, path: &Path, error: &StoreError) -> Result<(), StoreError> {
        let aside = self.unreadable.join(path.file_name().unwrap_or_default());
        tracing::error!(%error, aside = %aside.display(), "nothing of a job can be read, and its folder is moved aside");
        fs::rename(path, &aside).map_err(failed("move", path))
    }
}

#[cfg(test)]
#[path = "job_files_tests.rs"]
mod tests;
