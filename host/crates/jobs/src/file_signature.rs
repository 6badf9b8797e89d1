use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The signature of a file that came with a pipeline. The server writes it when it has verified it, and the job
/// verifies it again before it loads the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSignature {
    /// [`crate::VERSION`] of the server.
    pub version: u32,
    /// The text that `ssh-keygen -Y sign` wrote.
    pub text: String,
    /// Who signed, as the list of allowed signers had it.
    pub signer: String,
    /// The fingerprint of the key.
    pub fingerprint: String,
    /// When it was verified, in milliseconds since the Unix epoch.
    pub at: u64,
}

impl FileSignature {
    /// The path of the signature of a file.
    #[must_use]
    pub fn beside(file: &Path) -> PathBuf {
        file.with_extension("sig.json")
    }
}
