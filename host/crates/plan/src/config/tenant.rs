use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Name of the tenant that a pipeline runs for: letters, digits, `_` and `-`, because it becomes the name of a
/// control group and appears in messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TenantName(String);

/// Ceiling for all pipelines of one tenant together, on the whole machine. `None` sets no bound for the tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantCeiling {
    /// CPUs in 1/10,000: leased CPUs and shares together.
    pub cpus: Option<u64>,
    /// Bytes of memory, with the default caps of instances that ask for none.
    pub memory: Option<u64>,
    /// Custom resources by name, in 1/10,000.
    pub resources: BTreeMap<String, u64>,
    /// Shares of devices that serve `num_gpus`, in 1/10,000.
    pub num_gpus: Option<u64>,
    /// Jobs of a server that run at a time.
    pub jobs: Option<u64>,
    /// Jobs of a server that wait at a time.
    pub queued: Option<u64>,
    /// Turns in a server's queue for each turn of a tenant with weight 1, which is the default.
    pub weight: Option<u32>,
    /// Folders, besides its own, that a tenant's jobs on a server may use.
    pub folders: Vec<TenantFolder>,
    /// Addresses to which a tenant's components on a server may connect.
    pub connect: Vec<SocketAddr>,
    /// Models of the host that a tenant's jobs on a server may list. `None`: all.
    pub models: Option<Vec<String>>,
    /// Bytes of components and models that a server keeps for the tenant.
    pub component_bytes: Option<u64>,
    /// Bytes of logs of jobs that a server keeps for the tenant.
    pub log_bytes: Option<u64>,
    /// Requests per second to a server; twice as many at once.
    pub requests_per_second: Option<u32>,
    /// Whether a server takes only signed components and models of the tenant.
    pub signatures_required: bool,
    /// Who may sign for the tenant.
    pub signers: TenantSigners,
    /// The user of the machine that a tenant's jobs on a server run as. `None`: one that the server gives it.
    pub user: Option<String>,
    /// Whether a tenant's jobs on a server may run their instances as threads of one process.
    pub may_use_threads: bool,
}

/// Who may sign components and models for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantSigners {
    /// Lines in the format of allowed_signers, or public keys; none by default.
    Lines(Vec<String>),
    /// A file in the format of allowed_signers, with an absolute path.
    File(PathBuf),
}

impl Default for TenantSigners {
    fn default() -> Self {
        Self::Lines(Vec::new())
    }
}

/// A folder of the machine that a tenant may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFolder {
    /// The folder, with an absolute path.
    pub path: PathBuf,
    /// Whether the tenant may write there.
    pub write: bool,
}

impl TenantCeiling {
    /// Whether the kernel must hold the tenant to a bound of CPU or memory.
    #[must_use]
    pub fn needs_hard_limits(&self) -> bool {
        self.cpus.is_some() || self.memory.is_some()
    }
}

/// The error for a word that is no tenant name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{written}\" is no name for a tenant: 1 to {} letters, digits, _ and -, the first a letter or digit",
    TenantName::LONGEST
)]
pub struct TenantNameError {
    /// The word as it was written.
    pub written: String,
}

impl TenantName {
    /// The tenant of pipelines that name no tenant.
    pub const DEFAULT: &str = "default";
    /// Longest name, in bytes.
    pub const LONGEST: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for TenantName {
    type Err = TenantNameError;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let begins_well = written.starts_with(|c: char| c.is_ascii_alphanumeric());
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if begins_well && written.chars().all(allowed) && written.len() <= Self::LONGEST {
            return Ok(Self(written.to_owned()));
        }
        Err(TenantNameError { written: written.to_owned() })
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.0
    }
}

impl TryFrom<String> for TenantName {
    type Error = TenantNameError;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        written.parse()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_name_is_one_plain_word() {
        for good in ["default", "a", "team-7_b", "7up"] {
            assert_eq!(good.parse::<TenantName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(65);
        for bad in ["", "..", "a/b", "-a", "_", "a b", "é", "a\n", &long] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad:?}");
        }
    }
}
