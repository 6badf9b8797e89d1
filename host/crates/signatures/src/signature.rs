use ssh_key::SshSig;

use super::{NAMESPACE, SignatureError};

/// A signature in SSH's format, for the namespace [`NAMESPACE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(SshSig);

impl Signature {
    /// Most bytes of the text. One of a key of RSA with 16,384 bits has 6 KiB.
    pub const LONGEST: usize = 8 << 10;

    /// Reads the text that `ssh-keygen -Y sign` writes.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if text.len() > Self::LONGEST {
            return Err(SignatureError::TooLong { most: Self::LONGEST });
        }
        let malformed = |error: ssh_key::Error| SignatureError::Malformed { reason: error.to_string() };
        let signature = SshSig::from_pem(text.trim_ascii()).map_err(malformed)?;
        if signature.namespace() != NAMESPACE {
            let namespace = signature.namespace().chars().take(80).flat_map(char::escape_default).collect();
            return Err(SignatureError::Namespace { namespace });
        }
        Ok(Self(signature))
    }

    pub(crate) fn inner(&self) -> &SshSig {
        &self.0
    }
}
