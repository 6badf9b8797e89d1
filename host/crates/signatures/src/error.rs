/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is longer than a signature can be.
    #[error("the signature has more than {most} bytes")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// It is not a signature in SSH's format.
    #[error("the signature cannot be read: {reason}")]
    Malformed {
        /// The reason.
        reason: String,
    },
    /// It was made for something else.
    #[error("the signature is for the namespace \"{namespace}\", not for \"{}\"", crate::NAMESPACE)]
    Namespace {
        /// The namespace that it has.
        namespace: String,
    },
    /// The kind of key or signature is not known here.
    #[error("signatures of the kind {algorithm} are not supported: ed25519, ecdsa (P-256, P-384) and rsa are")]
    Unsupported {
        /// The kind.
        algorithm: String,
    },
    /// No allowed signer has the key.
    #[error("the key {fingerprint} is none of the allowed signers")]
    UnknownKey {
        /// The fingerprint of the key.
        fingerprint: String,
    },
    /// The signer may sign for other namespaces only.
    #[error("{signer} may not sign for the namespace \"{}\"", crate::NAMESPACE)]
    OtherNamespaces {
        /// The signer.
        signer: String,
    },
    /// The key counts at other times only.
    #[error("the key of {signer} is not valid now: {when}")]
    NotNow {
        /// The signer.
        signer: String,
        /// When it is valid.
        when: String,
    },
    /// The signature is not one of these bytes.
    #[error("the signature of {signer} is of other bytes")]
    OtherBytes {
        /// The signer whose key it names.
        signer: String,
    },
}

/// Why a list of signers cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SignersError {
    /// The line, from 1.
    pub line: usize,
    /// The reason.
    pub reason: String,
}
