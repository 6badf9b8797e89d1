use std::collections::BTreeMap;
use std::path::PathBuf;

use sage_jobs::JobIsolation;
use serde::{Deserialize, Serialize};

use super::{Digest, JobSpec};

/// A revision of a job: what its attempts run. It is written once and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// [`sage_jobs::VERSION`] of the server.
    pub version: u32,
    /// Its number, from 1.
    pub number: u32,
    /// When it was submitted, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Who submitted it: `user:UID` or `token:ID`. `None`: an earlier server did not write it down.
    pub who: Option<String>,
    /// Why, in the words of its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The name of the pipeline, which its checkpoints have.
    pub pipeline_name: String,
    /// The digest of the pipeline file.
    pub pipeline: Digest,
    /// The folder of its checkpoints, as the pipeline file has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The path of the pipeline file, for messages.
    pub shown_as: Option<PathBuf>,
    /// The folder to which relative paths of data lead.
    pub data: PathBuf,
    /// The files that came with the pipeline file, by the paths that it has.
    pub files: BTreeMap<String, Digest>,
    /// How instances are isolated.
    pub isolation: JobIsolation,
}

impl Revision {
    /// The revision of a specification.
    #[must_use]
    pub fn of(spec: &JobSpec, pipeline: &[u8], name: String, who: Option<String>, checkpoint: Option<String>) -> Self {
        Self {
            version: spec.version,
            number: spec.revision,
            at: spec.created,
            who,
            note: None,
            pipeline_name: name,
            pipeline: Digest::of(pipeline),
            checkpoint,
            shown_as: spec.shown_as.clone(),
            data: spec.data.clone(),
            files: spec.files.clone(),
            isolation: spec.isolation,
        }
    }

    /// Whether attempts of both run the same.
    #[must_use]
    pub fn runs_the_same(&self, other: &Self) -> bool {
        self.pipeline == other.pipeline
            && self.data == other.data
            && self.files == other.files
            && self.isolation == other.isolation
    }

    /// Whether both have the same folder of checkpoints. Attempts of one go on from those of the other if their
    /// pipelines have one name.
    #[must_use]
    pub fn shares_checkpoints(&self, other: &Self) -> bool {
        self.checkpoint.is_some() && self.checkpoint == other.checkpoint && self.data == other.data
    }
}

impl JobSpec {
    /// The specification with this revision in it.
    #[must_use]
    pub fn with(self, revision: Revision) -> Self {
        let Revision { number, shown_as, data, files, isolation, .. } = revision;
        Self { revision: number, shown_as, data, files, isolation, ..self }
    }
}
