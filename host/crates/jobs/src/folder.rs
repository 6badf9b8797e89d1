use std::path::{Path, PathBuf};

/// The names in the folder of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

impl JobFolder {
    /// The names below this folder.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The lock of [`crate::AliveLock`].
    #[must_use]
    pub fn alive_lock(&self) -> PathBuf {
        self.0.join("alive.lock")
    }

    /// The file of [`crate::JobOrder`].
    #[must_use]
    pub fn order(&self) -> PathBuf {
        self.0.join("order.json")
    }

    /// The file of [`crate::JobStatus`].
    #[must_use]
    pub fn status(&self) -> PathBuf {
        self.0.join("status.json")
    }

    /// The file of [`crate::JobEnd`].
    #[must_use]
    pub fn end(&self) -> PathBuf {
        self.0.join("end.json")
    }

    /// The folder of log files.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The folder of a revision, with its pipeline file and what came with it.
    #[must_use]
    pub fn revision(&self, revision: u32) -> PathBuf {
        self.0.join("rev").join(revision.to_string())
    }

    /// The file of [`crate::JobCheck`] for a revision.
    #[must_use]
    pub fn check(&self, revision: u32) -> PathBuf {
        self.revision(revision).join("check.json")
    }

    /// The file of the [`crate::JobOrder`] that the check of a revision reads. An attempt of another revision may be
    /// under way meanwhile.
    #[must_use]
    pub fn check_order(&self, revision: u32) -> PathBuf {
        self.revision(revision).join("order.json")
    }

    /// The standard error of the job's process: panics and the words of the operating system.
    #[must_use]
    pub fn stderr(&self) -> PathBuf {
        self.0.join("stderr.txt")
    }
}
