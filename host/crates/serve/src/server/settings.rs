use std::collections::BTreeMap;
use std::path::PathBuf;

use sage_jobs::{JobOrder, OrderFolder, OrderUser};
use sage_signatures::AllowedSigners;

use sage_plan::config::{TenantCeiling, TenantFolder, TenantName, UidRange};

/// What a server is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The state folder.
    pub state: PathBuf,
    /// The folder of the control sockets of jobs, with an absolute path.
    pub sockets: PathBuf,
    /// The host file of all jobs, with an absolute path.
    pub host_file: Option<PathBuf>,
    /// The program with the commands `job` and `check-job`.
    pub program: PathBuf,
    /// The tenants that the host file declares, with their ceilings.
    pub tenants: BTreeMap<TenantName, TenantCeiling>,
    /// Who may sign for each tenant that names signers: the lines in the format of allowed_signers, and what they say.
    pub signers: BTreeMap<TenantName, (String, AllowedSigners)>,
    /// The users to give to tenants. `None`: all jobs run as the user of the server.
    pub users: Option<UidRange>,
    /// The users of the tenants, once the server has been opened.
    pub users_of_tenants: BTreeMap<TenantName, OrderUser>,
    /// The control group above those of all tenants.
    pub slice: String,
    /// Most jobs that have ended, of each tenant, which stay listed.
    pub keep_ended: Option<u64>,
    /// Milliseconds for which jobs that have ended stay listed.
    pub keep_ended_for: Option<u64>,
    /// Names of the server that requests over TCP may have in their Host header, besides addresses and `localhost`.
    pub names: Vec<String>,
    /// Whether the dashboard is served.
    pub dashboard: bool,
    /// Most jobs that start at a time.
    pub starts: usize,
    /// Most bytes of a file that comes with a pipeline.
    pub largest_file: u64,
}

impl Settings {
    /// The ceiling of a tenant. The owner has none.
    #[must_use]
    pub fn ceiling(&self, tenant: Option<&TenantName>) -> Option<&TenantCeiling> {
        tenant.and_then(|tenant| self.tenants.get(tenant))
    }

    /// The turns in the queue of a tenant, for each turn of one with weight 1.
    #[must_use]
    pub fn weight(&self, tenant: Option<&TenantName>) -> u32 {
        self.ceiling(tenant).and_then(|ceiling| ceiling.weight).unwrap_or(1)
    }

    /// The lines of the signers of a tenant that needs signatures.
    #[must_use]
    pub fn required_signers(&self, tenant: Option<&TenantName>) -> Option<&str> {
        let required = self.ceiling(tenant).is_some_and(|ceiling| ceiling.signatures_required);
        // A tenant whose signers are not known gets nothing signed.
        required.then(|| tenant.and_then(|tenant| self.signers.get(tenant)).map_or("", |(lines, _)| lines.as_str()))
    }

    /// Who may sign for a tenant; `None` if it names nobody.
    #[must_use]
    pub fn allowed_signers(&self, tenant: Option<&TenantName>) -> Option<&AllowedSigners> {
        self.signers.get(tenant?).map(|(_, signers)| signers)
    }

    /// The order without grants, with those of its tenant.
    pub(crate) fn granted(&self, order: JobOrder, tenant: Option<&TenantName>) -> JobOrder {
        let Some(ceiling) = self.ceiling(tenant) else { return order };
        let user = tenant.and_then(|tenant| self.users_of_tenants.get(tenant)).copied();
        let cache = tenant.filter(|_| user.is_some()).map(|tenant| self.state.join("cache").join(tenant.as_str()));
        let folder = |folder: &TenantFolder| OrderFolder { path: folder.path.clone(), write: folder.write };
        JobOrder {
            folders: ceiling.folders.iter().map(folder).collect(),
            connect: ceiling.connect.clone(),
            models: ceiling.models.clone(),
            signers: self.required_signers(tenant).map(str::to_owned),
            user,
            cache,
            hard_limits: ceiling.needs_hard_limits(),
            ..order
        }
    }
}

/// What becomes of running jobs when the server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopJobs {
    /// They go on, and the next server adopts them.
    Leave,
    /// They are drained, and the server waits for them.
    Drain,
}
