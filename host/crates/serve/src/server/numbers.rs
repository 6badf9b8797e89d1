use std::collections::BTreeMap;
use std::path::PathBuf;

use sage_plan::config::TenantName;

use super::entry::Entry;
use super::thread::Server;
use crate::metrics::Waits;
use crate::state::State;
use crate::store::JobName;

/// The numbers of the server's thread for a scrape of its metrics.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// Jobs by tenant and state. Each tenant with a job has every state.
    pub jobs: BTreeMap<(String, &'static str), u64>,
    /// Milliseconds for which the job at the head of each tenant's queue has waited.
    pub oldest: BTreeMap<String, u64>,
    /// Waits that have ended, by tenant.
    pub waits: BTreeMap<String, Waits>,
    /// The jobs whose processes may live, in the order of tenants and names.
    pub live: Vec<LiveJob>,
    /// Whether the state folder takes no writes.
    pub read_only: bool,
}

/// A job whose process may live.
#[derive(Debug, Clone)]
pub struct LiveJob {
    /// Its tenant.
    pub tenant: String,
    /// Its name.
    pub name: JobName,
    /// Number of its attempt.
    pub attempt: u32,
    /// Restarts in a row, without a healthy attempt between them.
    pub restarts_in_a_row: u32,
    /// Its control socket.
    pub socket: PathBuf,
}

impl Server {
    /// The numbers of a tenant's jobs; `None`: of all.
    #[must_use]
    pub fn numbers(&self, of: Option<&TenantName>, now: u64) -> Numbers {
        let mut numbers = Numbers {
            jobs: BTreeMap::new(),
            oldest: BTreeMap::new(),
            waits: BTreeMap::new(),
            live: Vec::new(),
            read_only: self.read_only.is_some(),
        };
        let wanted = |tenant: &Option<TenantName>| of.is_none_or(|of| tenant.as_ref() == Some(of));
        for (id, entry) in self.jobs.iter().filter(|(_, entry)| wanted(&entry.spec.tenant)) {
            let tenant = shown(&entry.spec.tenant);
            if !numbers.jobs.contains_key(&(tenant.clone(), State::Queued.name())) {
                numbers.jobs.extend(State::NAMES.map(|state| ((tenant.clone(), state), 0)));
            }
            *numbers.jobs.entry((tenant.clone(), entry.job.state.name())).or_default() += 1;
            if let Some(queued) = entry.queued {
                let oldest = numbers.oldest.entry(tenant.clone()).or_default();
                *oldest = (*oldest).max(now.saturating_sub(queued));
            }
            if entry.job.state.is_live() {
                numbers.live.push(LiveJob {
                    tenant,
                    name: entry.spec.name.clone(),
                    attempt: entry.job.attempt,
                    restarts_in_a_row: entry.job.in_a_row,
                    socket: self.socket(*id),
                });
            }
        }
        numbers.waits =
            self.waits.iter().filter(|(tenant, _)| wanted(tenant)).map(|(of, w)| (shown(of), w.clone())).collect();
        numbers.live.sort_by(|one, other| (&one.tenant, &one.name).cmp(&(&other.tenant, &other.name)));
        numbers
    }

    /// Notes that a job was changed: whether it began to wait, or has waited.
    pub(super) fn note_wait(entry: &mut Entry, waits: &mut BTreeMap<Option<TenantName>, Waits>) {
        let state = entry.job.state;
        match (entry.queued, state) {
            (None, State::Queued) => entry.queued = Some(entry.job.since),
            // An attempt that finds no room is a part of the wait.
            (Some(_), State::Queued) => entry.started = None,
            (None, _) | (Some(_), State::Starting) => {}
            (Some(queued), _) => {
                entry.queued = None;
                if let Some(started) = entry.started.filter(|started| *started >= queued) {
                    waits.entry(entry.spec.tenant.clone()).or_default().add(started - queued);
                }
            }
        }
        if state == State::Starting {
            entry.started = Some(entry.job.since);
        }
    }
}

/// The name of a tenant in labels.
fn shown(tenant: &Option<TenantName>) -> String {
    tenant.as_ref().map_or(TenantName::DEFAULT, TenantName::as_str).to_owned()
}
