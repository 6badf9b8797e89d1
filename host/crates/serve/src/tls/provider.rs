use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The cryptography of servers and clients.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
