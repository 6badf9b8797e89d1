use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret of a tenant, as the server keeps it: a file that only the user of the server may read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// The name that its user gave to it.
    pub name: String,
    /// The value.
    pub value: String,
    /// When it was last set, in milliseconds since the Unix epoch.
    pub changed: u64,
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFile").field("name", &self.name).finish_non_exhaustive()
    }
}
