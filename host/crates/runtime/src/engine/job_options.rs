use std::path::PathBuf;

use super::JobOptions;
use super::job::{default_cache, host_settings};
use super::job_error::JobError;
use sage_machine::{LeaseFolder, ResourceError};
use sage_plan::config::HostSettings;

/// What the options come to on this machine.
impl JobOptions {
    /// What `host.toml` says, or the defaults.
    ///
    /// # Errors
    /// A file that cannot be read, or is wrong.
    pub fn host_settings(&self) -> Result<HostSettings, JobError> {
        host_settings(self)
    }

    /// Where CPU leases and claims lie.
    ///
    /// # Errors
    /// A folder that cannot be made or used.
    pub fn lease_folder(&self, settings: &HostSettings) -> Result<LeaseFolder, ResourceError> {
        match self.lease_folder.as_deref().or(settings.lease_folder.as_deref()) {
            Some(path) => LeaseFolder::at(path),
            None => LeaseFolder::open(),
        }
    }

    /// Where compiled components are kept; `None` where they are not.
    #[must_use]
    pub fn cache_folder(&self, settings: &HostSettings) -> Option<PathBuf> {
        self.cache_folder.clone().or_else(|| settings.cache_folder.clone()).or_else(default_cache)
    }
}
