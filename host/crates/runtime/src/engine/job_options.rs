use std::path::PathBuf;

use super::JobOptions;
use super::job::{default_cache, host_settings};
use super::job_error::JobError;
use sage_machine::{LeaseFolder, ResourceError};
use sage_plan::config::HostSettings;

/// The settings that these options resolve to on this machine.
impl JobOptions {
    /// The settings of `host.toml`, or the defaults.
    ///
    /// # Errors
    /// The file cannot be read, or is invalid.
    pub fn host_settings(&self) -> Result<HostSettings, JobError> {
        host_settings(self)
    }

    /// The folder of CPU leases and claims.
    ///
    /// # Errors
    /// The folder cannot be made or used.
    pub fn lease_folder(&self, settings: &HostSettings) -> Result<LeaseFolder, ResourceError> {
        match self.lease_folder.as_deref().or(settings.lease_folder.as_deref()) {
            Some(path) => LeaseFolder::at(path),
            None => LeaseFolder::open(),
        }
    }

    /// The cache folder for compiled components; `None` if they are not cached.
    #[must_use]
    pub fn cache_folder(&self, settings: &HostSettings) -> Option<PathBuf> {
        self.cache_folder.clone().or_else(|| settings.cache_folder.clone()).or_else(default_cache)
    }
}
