use rustix::process::geteuid;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The user id of the peer on the unix socket.
    pub user: u32,
}

impl Principal {
    /// Whether the peer is the owner of the server: its user, or root.
    #[must_use]
    pub fn is_owner(self) -> bool {
        self.user == 0 || self.user == geteuid().as_raw()
    }

    /// The tenant whose jobs the peer sees. `None`: those of the owner.
    #[must_use]
    pub fn tenant(self) -> Option<String> {
        None
    }
}
