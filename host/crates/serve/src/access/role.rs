use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The rights of a principal. Each role may do what the roles before it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read metrics.
    Metrics,
    /// Read jobs, logs, events and components.
    Read,
    /// Start, stop and restart jobs.
    Operate,
    /// Submit and remove jobs, and upload components.
    Deploy,
    /// Make and remove the tokens and secrets of a tenant.
    TenantAdmin,
    /// Everything, for all tenants. No token of a tenant has this role.
    Admin,
}

impl Role {
    /// All roles, the lowest first.
    pub const ALL: [Self; 6] = [Self::Metrics, Self::Read, Self::Operate, Self::Deploy, Self::TenantAdmin, Self::Admin];

    /// The name, as it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Deploy => "deploy",
            Self::TenantAdmin => "tenant-admin",
            Self::Admin => "admin",
        }
    }

    /// Whether a principal with this role may do what `needed` may do.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.name() == written);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("\"{}\" is no role: {names}", written.escape_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_allows_itself_and_every_lower_one() {
        for (rank, role) in Role::ALL.into_iter().enumerate() {
            for (needed_rank, needed) in Role::ALL.into_iter().enumerate() {
                assert_eq!(role.allows(needed), rank >= needed_rank, "{role} {needed}");
            }
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("root".parse::<Role>().unwrap_err().contains("read, operate, deploy"));
    }
}
