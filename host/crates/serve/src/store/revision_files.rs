use std::fs;
use std::path::PathBuf;

use sage_jobs::{read_json, write_json};

use super::error::{StoreError, failed};
use super::files::entries;
use super::state_folder::sync;
use super::{JobFiles, JobId, JobSpec, Revision};

/// The folders of revisions. A folder without the file of its [`Revision`], which is written last, is none.
impl JobFiles {
    /// Most revisions that are kept. The oldest ones go, but never one that is in use.
    pub const MOST_REVISIONS: usize = 50;

    pub(super) fn revision_file(&self, id: JobId, number: u32) -> PathBuf {
        self.folder(id).revision(number).join("revision.json")
    }

    /// Makes the folder of a further revision, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if a file was not uploaded; the folder cannot be written.
    pub fn add_revision(&self, spec: &JobSpec, revision: &Revision, pipeline: &[u8]) -> Result<(), StoreError> {
        let folder = self.folder(spec.id);
        let path = folder.revision(revision.number);
        if path.exists() {
            // A server ended while it made it.
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
        }
        let files = self.store().of(spec.tenant.as_ref());
        let made = files
            .lay_out(&folder, revision.number, pipeline, &revision.files)
            .and_then(|_| Ok(write_json(&self.revision_file(spec.id, revision.number), revision)?))
            .and_then(|()| sync(path.parent().unwrap_or(&path)));
        if made.is_err() {
            // What stays is no revision.
            let _ = fs::remove_dir_all(&path);
        }
        made
    }

    /// A revision of a job. That of a job of an earlier server is the one of its specification.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn revision(&self, id: JobId, number: u32) -> Result<Revision, StoreError> {
        let path = self.revision_file(id, number);
        match read_json(&path) {
            Err(error) if error.is_absent() => {
                let spec: JobSpec = read_json(&self.folder(id).path().join("spec.json"))?;
                if spec.revision != number {
                    return Err(error.into());
                }
                let file = self.pipeline(id, number);
                let text = fs::read(&file).map_err(failed("read", &file))?;
                let parsed = sage_plan::config::parse("pipeline.toml", &text).pipeline;
                let folder = parsed.checkpoint.map(|checkpoint| checkpoint.folder.value);
                let stem = spec.shown_as.as_ref().and_then(|path| path.file_stem());
                let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
                let name = parsed.name.map(|name| name.value).or(stem).unwrap_or_default();
                Ok(Revision::of(&spec, &text, name, None, folder))
            }
            read => Ok(read?),
        }
    }

    /// All revisions of a job, the oldest first. One that cannot be read is left out.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn revisions(&self, id: JobId) -> Result<Vec<Revision>, StoreError> {
        let mut revisions: Vec<Revision> =
            self.numbers(id)?.into_iter().filter_map(|number| self.revision(id, number).ok()).collect();
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    /// The text of a revision's pipeline file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pipeline_text(&self, id: JobId, number: u32) -> Result<String, StoreError> {
        let path = self.pipeline(id, number);
        let text = fs::read(&path).map_err(failed("read", &path))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Removes the oldest revisions that are too many, and returns the number of the next one.
    ///
    /// # Errors
    /// The folder cannot be read, or a revision cannot be removed.
    pub fn next_revision(&self, id: JobId, in_use: &[u32]) -> Result<u32, StoreError> {
        let mut numbers = self.numbers(id)?;
        numbers.sort_unstable();
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        let too_many = (numbers.len() + 1).saturating_sub(Self::MOST_REVISIONS);
        for old in numbers.iter().filter(|number| !in_use.contains(number)).take(too_many) {
            let path = self.folder(id).revision(*old);
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
        }
        Ok(next)
    }

    fn numbers(&self, id: JobId) -> Result<Vec<u32>, StoreError> {
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
        Ok(entries(&self.folder(id).path().join("rev"))?.iter().filter_map(number).collect())
    }
}
