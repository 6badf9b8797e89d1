//! Signatures of files in SSH's format (`ssh-keygen -Y sign -n sage-host FILE`), and the keys that may sign.
//!
//! Flow: [`AllowedSigners::parse`] reads the keys, in the format of `ssh-keygen`'s allowed_signers file.
//! [`Signature::parse`] reads a signature. [`FileHash`] is computed from the bytes of a file.
//! [`AllowedSigners::verify`] says who signed, or why the signature does not count.
//!
//! Invariants:
//!
//! - A signature counts only for the namespace [`NAMESPACE`], so a signature of a mail or of a commit is none.
//! - Bytes of a signature are bounded, and checked before they are used. No private key is ever read.
//! - The clock is passed in.
//!
//! The crate `ssh-key` reads keys and signatures, and `ring` verifies. Left to others: where signatures are kept, and
//! which tenant needs them.

mod allowed_signers;
mod error;
mod file_hash;
mod signature;
mod validity;
mod verify;

pub use allowed_signers::{AllowedSigners, Signer};
pub use error::{SignatureError, SignersError};
pub use file_hash::FileHash;
pub use signature::Signature;

/// The namespace of signatures of components and models.
pub const NAMESPACE: &str = "sage-host";
