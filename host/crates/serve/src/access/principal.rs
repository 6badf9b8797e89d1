use sage_plan::config::TenantName;

use super::role::Role;
use super::token::TokenId;

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant to which the principal belongs. `None`: the machine, which sees all tenants.
    pub tenant: Option<TenantName>,
    /// What it may do.
    pub role: Role,
    /// How it showed who it is.
    pub credential: Credential,
}

/// How a principal showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The kernel's credentials of the peer on the unix socket.
    User(u32),
    /// A token in the head of the request.
    Token(TokenId),
    /// The session of a browser, which this token opened.
    Session(TokenId),
}

impl Principal {
    /// The owner of the server, on the unix socket.
    #[must_use]
    pub fn owner(user: u32) -> Self {
        Self { tenant: None, role: Role::Admin, credential: Credential::User(user) }
    }

    /// The principal, in words for logs.
    #[must_use]
    pub fn name(&self) -> String {
        match self.credential {
            Credential::User(user) => format!("user:{user}"),
            Credential::Token(id) | Credential::Session(id) => format!("token:{id}"),
        }
    }

    /// Whether the principal may see things of this tenant. The machine sees all; a tenant sees its own.
    #[must_use]
    pub fn sees(&self, tenant: &TenantName) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }
}

/// The tenant whose things a request is about. `None`: the owner of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The tenant.
    pub tenant: Option<TenantName>,
}
