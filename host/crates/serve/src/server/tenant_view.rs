use std::collections::BTreeMap;

use sage_plan::config::{TenantCeiling, TenantName};
use serde::{Deserialize, Serialize};

use super::thread::Server;

/// A tenant: what it may have, and what it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TenantView {
    /// Its name.
    pub name: TenantName,
    /// The user that its jobs run as; absent if that is the user of the server.
    pub user: Option<u32>,
    /// Its ceiling; a bound that is absent is none.
    pub ceiling: TenantBounds,
    /// What it uses.
    pub used: TenantUse,
}

/// The bounds of a tenant. Amounts are in the units of host.toml, and bytes are numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantBounds {
    /// CPUs.
    pub cpus: Option<f64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Devices.
    pub num_gpus: Option<f64>,
    /// Custom resources.
    pub resources: BTreeMap<String, f64>,
    /// Running jobs.
    pub jobs: Option<u64>,
    /// Waiting jobs.
    pub queued: Option<u64>,
    /// Turns in the queue.
    pub weight: u32,
    /// Bytes of components and models.
    pub component_bytes: Option<u64>,
    /// Bytes of logs.
    pub log_bytes: Option<u64>,
    /// Requests per second.
    pub requests_per_second: Option<u32>,
}

/// The resources that a tenant uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TenantUse {
    /// Running jobs.
    pub jobs: u64,
    /// Waiting jobs.
    pub queued: u64,
    /// Bytes of memory that the instances of its running jobs use.
    pub memory: u64,
    /// Bytes of memory that they may use.
    pub memory_limit: u64,
    /// Bytes of components and models.
    pub component_bytes: u64,
}

impl Server {
    /// A declared tenant. `component_bytes` is the size of its files.
    #[must_use]
    pub fn tenant(&self, name: &TenantName, component_bytes: u64) -> TenantView {
        let none = TenantCeiling::default();
        let ceiling = self.settings.ceiling(Some(name)).unwrap_or(&none);
        let own = self.jobs.values().filter(|entry| entry.spec.tenant.as_ref() == Some(name));
        let rows: Vec<_> = own.filter(|entry| entry.job.state.is_live()).map(|entry| self.row(entry)).collect();
        let used = TenantUse {
            jobs: rows.len() as u64,
            queued: self.waiting(name),
            memory: rows.iter().filter_map(|row| row.memory_used).fold(0, u64::saturating_add),
            memory_limit: rows.iter().filter_map(|row| row.memory_limit).fold(0, u64::saturating_add),
            component_bytes,
        };
        let user = self.settings.users_of_tenants.get(name).map(|user| user.user);
        TenantView { name: name.clone(), user, ceiling: bounds(ceiling), used }
    }
}

fn bounds(ceiling: &TenantCeiling) -> TenantBounds {
    #[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^52 ten-thousandths")]
    let amount = |ten_thousandths: u64| ten_thousandths as f64 / 10_000.0;
    TenantBounds {
        cpus: ceiling.cpus.map(amount),
        memory: ceiling.memory,
        num_gpus: ceiling.num_gpus.map(amount),
        resources: ceiling.resources.iter().map(|(name, most)| (name.clone(), amount(*most))).collect(),
        jobs: ceiling.jobs,
        queued: ceiling.queued,
        weight: ceiling.weight.unwrap_or(1),
        component_bytes: ceiling.component_bytes,
        log_bytes: ceiling.log_bytes,
        requests_per_second: ceiling.requests_per_second,
    }
}
