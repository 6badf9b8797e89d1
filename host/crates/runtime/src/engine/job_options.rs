use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::job_error::JobError;
use super::launcher::Launcher;
use super::read_written::read_written;
use sage_machine::{LeaseFolder, ResourceError};
use sage_models::{ExamineElsewhere, OpenDevice};
use sage_plan::config::{self, HostSettings, TenantName};
use sage_sandbox::CompileElsewhere;

/// Where a run with checkpoints begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// At the last epoch of a run that did not come to its end; otherwise at the beginning of the input.
    #[default]
    Last,
    /// At the beginning of the input, without the epochs of earlier runs, which are dropped.
    Nothing,
    /// At this epoch. Later ones are dropped.
    Epoch(u64),
    /// At the savepoint in this folder, which becomes the last epoch.
    Savepoint(PathBuf),
}

/// The options of a job.
#[derive(Debug, Clone, Default)]
pub struct JobOptions {
    /// The `host.toml` to use; `None` takes the defaults.
    pub host_file: Option<PathBuf>,
    /// Stages of whose saved parts the run takes nothing, as if they were new.
    pub drop_state: Vec<String>,
    /// Allows a run to exceed the available amount of countable resources.
    pub overcommit: bool,
    /// Allows resources that this machine cannot enforce.
    pub allow_unenforced: bool,
    /// Accepts only hard limits, and fails if a limit is no longer hard.
    pub strict: bool,
    /// The tenant that the job runs for. The ceilings of `host.toml` depend on it.
    pub tenant: TenantName,
    /// The identifier of the job, if this process runs this job only. The process then claims memory for itself, and it
    /// takes part in the control group of the run, which has this name.
    pub job: Option<String>,
    /// The slice of control groups, instead of the one in `host.toml`.
    pub slice: Option<String>,
    /// The lease folder, instead of the one in `host.toml` or the default.
    pub lease_folder: Option<PathBuf>,
    /// The cache folder for compiled components, instead of the one in `host.toml` or the default.
    pub cache_folder: Option<PathBuf>,
    /// The launcher of instances; `None` runs them in threads of this process.
    pub launcher: Option<Arc<dyn Launcher>>,
    /// Starts devices in separate processes; `None` means that such devices cannot be used.
    pub device_opener: Option<Arc<dyn OpenDevice>>,
    /// Examines models before they are loaded; `None` means that errors appear only at loading.
    pub examiner: Option<Arc<dyn ExamineElsewhere>>,
    /// Compiles components; `None` compiles in this process, without limits.
    pub compiler: Option<Arc<dyn CompileElsewhere>>,
    /// The epoch from which a run with checkpoints goes on.
    pub from: StartFrom,
    /// Whether this process writes to standard output and standard error besides the run's sinks, as the
    /// command line does. If so, no path of the run may lead to a file to which these streams are redirected.
    pub speaks: bool,
}

/// The settings that these options resolve to on this machine.
impl JobOptions {
    /// The settings of `host.toml`, or the defaults.
    ///
    /// # Errors
    /// The file cannot be read, or is invalid.
    pub fn host_settings(&self) -> Result<HostSettings, JobError> {
        let mut settings = match &self.host_file {
            None => HostSettings::default(),
            Some(path) => {
                let bytes = read_written(path)?;
                let base = path.parent().unwrap_or(Path::new(""));
                config::parse_host(&path.display().to_string(), &bytes, base)?
            }
        };
        if let Some(slice) = &self.slice {
            settings.slice.clone_from(slice);
        }
        Ok(settings)
    }

    /// The folder of CPU leases and claims.
    ///
    /// # Errors
    /// The folder cannot be made or used.
    pub fn lease_folder(&self, settings: &HostSettings) -> Result<LeaseFolder, ResourceError> {
        let folder = match self.lease_folder.as_deref().or(settings.lease_folder.as_deref()) {
            Some(path) => LeaseFolder::at(path),
            None => LeaseFolder::open(),
        };
        Ok(folder?.with_group_of_jobs(settings.serve.uids.group_of_jobs()))
    }

    /// The folders that [`JobOptions::lease_folder`] may open. Nothing is created.
    pub(super) fn lease_folders(&self, settings: &HostSettings) -> Vec<PathBuf> {
        let named = self.lease_folder.clone().or_else(|| settings.lease_folder.clone());
        named.map_or_else(LeaseFolder::candidates, |path| vec![path])
    }

    /// The cache folder for compiled components; `None` if they are not cached.
    #[must_use]
    pub fn cache_folder(&self, settings: &HostSettings) -> Option<PathBuf> {
        self.cache_folder.clone().or_else(|| settings.cache_folder.clone()).or_else(default_cache)
    }
}

/// The default folder for compiled components: the user's cache folder. Without a home folder they are not
/// cached.
fn default_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("sage-host/components"))
}
