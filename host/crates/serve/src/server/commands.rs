use sage_plan::config::TenantName;

use super::denied::Denied;
use super::thread::Server;
use crate::state::{Event, StopMode};
use crate::store::{JobId, JobName};

impl Server {
    /// The job of a name.
    ///
    /// # Errors
    /// [`Denied::NoSuchJob`].
    pub fn find(&self, tenant: &Option<TenantName>, name: &JobName) -> Result<JobId, Denied> {
        let found = self.names.get(&(tenant.clone(), name.clone())).copied();
        found.ok_or_else(|| Denied::NoSuchJob { name: name.to_string() })
    }

    /// Stops a job. A job that has ended stays as it is, and the same or a stronger stop under way goes on.
    pub fn stop(&mut self, id: JobId, mode: StopMode, timeout: Option<u64>) {
        self.happen(id, Event::Stop { mode, timeout });
    }

    /// Starts a job that has ended, or that is about to end, again.
    ///
    /// # Errors
    /// [`Denied::ReadOnly`].
    pub fn start(&mut self, id: JobId) -> Result<(), Denied> {
        self.writable()?;
        self.happen(id, Event::Start);
        Ok(())
    }

    /// Drains a job and starts it again.
    ///
    /// # Errors
    /// [`Denied::ReadOnly`].
    pub fn restart(&mut self, id: JobId) -> Result<(), Denied> {
        self.writable()?;
        self.happen(id, Event::Restart);
        Ok(())
    }

    /// Removes a job that has ended, with its logs.
    ///
    /// # Errors
    /// [`Denied::StillLive`]; its folder cannot be removed.
    pub fn delete(&mut self, id: JobId) -> Result<(), Denied> {
        let Some(entry) = self.jobs.get(&id) else { return Ok(()) };
        if !entry.job.state.is_ended() {
            return Err(Denied::StillLive { name: entry.spec.name.to_string(), state: entry.job.state.name() });
        }
        self.forget(id)
    }

    /// Removes a job.
    pub(super) fn forget(&mut self, id: JobId) -> Result<(), Denied> {
        self.job_files.remove(id)?;
        self.unsaved.remove(&id);
        if let Some(entry) = self.jobs.remove(&id) {
            let name = (entry.spec.tenant, entry.spec.name);
            // A newer job may have the name.
            if self.names.get(&name) == Some(&id) {
                self.names.remove(&name);
            }
        }
        Ok(())
    }

    /// Whether the server takes new work.
    ///
    /// # Errors
    /// [`Denied::ReadOnly`].
    pub fn writable(&self) -> Result<(), Denied> {
        match &self.read_only {
            Some(why) => Err(Denied::ReadOnly { why: why.clone() }),
            None => Ok(()),
        }
    }
}
