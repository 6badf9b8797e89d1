//! Encryption of connections over TCP: the certificate of a server, and what a client trusts.
//!
//! rustls with ring does the cryptography; TLS 1.2 and 1.3 are spoken. A server reads its files again when they change,
//! so that a renewed certificate needs no restart. A client trusts the authorities of its system, those of a file, or one
//! certificate by its SHA-256.

mod certificates;
mod failed;
mod fingerprint;
mod provider;
mod trust;

pub use certificates::{Certificates, TlsError, TlsFiles};
pub use failed::TlsFailure;
pub use fingerprint::Fingerprint;
pub use trust::Trust;
