use std::collections::BTreeMap;

use sage_jobs::LogFile;
use sage_plan::config::TenantName;

use super::entry::Entry;
use super::thread::Server;
use crate::store::JobId;

/// Milliseconds between two looks if no job ends.
const EVERY: u64 = 60_000;

impl Server {
    /// Removes jobs that ended long ago, and the oldest parts of logs, as far as the host file says so.
    pub(super) fn tidy(&mut self, now: u64) {
        let due = std::mem::take(&mut self.to_tidy) || now >= self.tidied.saturating_add(EVERY);
        if !due {
            return;
        }
        self.tidied = now;
        for id in self.kept_too_long(now) {
            let name = self.jobs.get(&id).map(|entry| entry.spec.name.to_string()).unwrap_or_default();
            match self.forget(id) {
                Ok(()) => tracing::info!(job = %name, %id, "a job that had ended is not kept any more"),
                Err(error) => tracing::warn!(job = %name, %error, "a job that had ended cannot be removed"),
            }
        }
        let bounds = self.settings.tenants.iter();
        let bounded: Vec<(TenantName, u64)> =
            bounds.filter_map(|(tenant, ceiling)| Some((tenant.clone(), ceiling.log_bytes?))).collect();
        for (tenant, most) in bounded {
            self.shorten_logs(&tenant, most);
        }
    }

    /// The jobs that have ended and are not kept: the oldest ends beyond the number, and those beyond the time.
    fn kept_too_long(&self, now: u64) -> Vec<JobId> {
        let (number, time) = (self.settings.keep_ended, self.settings.keep_ended_for);
        if number.is_none() && time.is_none() {
            return Vec::new();
        }
        let mut ended: BTreeMap<Option<TenantName>, Vec<&Entry>> = BTreeMap::new();
        for entry in self.jobs.values().filter(|entry| entry.job.state.is_ended()) {
            ended.entry(entry.spec.tenant.clone()).or_default().push(entry);
        }
        let mut gone = Vec::new();
        for mut of_tenant in ended.into_values() {
            of_tenant.sort_by_key(|entry| std::cmp::Reverse((entry.job.since, entry.spec.id)));
            let most = number.map_or(usize::MAX, |number| usize::try_from(number).unwrap_or(usize::MAX));
            let old = |entry: &Entry| time.is_some_and(|time| entry.job.since.saturating_add(time) <= now);
            let kept = of_tenant.iter().enumerate().filter(|(place, entry)| *place >= most || old(entry));
            gone.extend(kept.map(|(_, entry)| entry.spec.id));
        }
        gone
    }

    /// Removes the oldest files of logs until the rest is small enough. The newest file of each job stays, so that its
    /// lines keep their numbers.
    fn shorten_logs(&self, tenant: &TenantName, most: u64) {
        let own = self.jobs.values().filter(|entry| entry.spec.tenant.as_ref() == Some(tenant));
        let mut total: u64 = 0;
        let mut old: Vec<(LogFile, JobId)> = Vec::new();
        for entry in own {
            let files = LogFile::all(&self.job_files.folder(entry.spec.id).logs()).unwrap_or_default();
            total = files.iter().fold(total, |total, file| total.saturating_add(file.bytes));
            let complete = files.len().saturating_sub(1);
            old.extend(files.into_iter().take(complete).map(|file| (file, entry.spec.id)));
        }
        old.sort_by_key(|(file, id)| (file.changed, *id, file.number));
        for (file, id) in old {
            if total <= most {
                return;
            }
            match file.remove(&self.job_files.folder(id).logs()) {
                Ok(()) => {
                    total = total.saturating_sub(file.bytes);
                    tracing::info!(%tenant, %id, bytes = file.bytes, "the oldest part of a log made room for others");
                }
                Err(error) => tracing::warn!(%tenant, %id, %error, "a part of a log cannot be removed"),
            }
        }
    }
}
