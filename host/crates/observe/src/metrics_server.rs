use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use thiserror::Error;
use tokio::sync::watch;

use super::Registry;
use super::metrics_connections::{Bounds, serve};
use super::metrics_routes::routes;

/// Serves a run's metrics to Prometheus at `/metrics`, and a liveness check at `/healthz`, until it is dropped.
///
/// The server has one thread. A slow or silent reader never makes a lane or another reader wait. Connections
/// are bounded: see `Bounds`.
pub struct MetricsServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
}

/// The reason why metrics cannot be served.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// The address is not available.
    #[error("cannot serve metrics at {address}: {cause}")]
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The server's thread cannot be started.
    #[error("cannot serve metrics at {address}: cannot start a thread")]
    Thread {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
}

impl MetricsError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Bind { .. })
            .then_some("choose another port with --metrics, or port 0 for any that is free")
    }
}

impl MetricsServer {
    /// Starts the server.
    ///
    /// # Errors
    /// The address is in use, or does not belong to this machine; the server's thread cannot be started.
    pub fn bind(address: SocketAddr, registry: Arc<Registry>) -> Result<Self, MetricsError> {
        Self::bind_within(address, registry, Bounds::default())
    }

    fn bind_within(address: SocketAddr, registry: Arc<Registry>, bounds: Bounds) -> Result<Self, MetricsError> {
        let cannot_bind = |cause| MetricsError::Bind { address, cause };
        let listener = TcpListener::bind(address).map_err(cannot_bind)?;
        listener.set_nonblocking(true).map_err(cannot_bind)?;
        let bound = listener.local_addr().map_err(cannot_bind)?;
        if !bound.ip().is_loopback() {
            tracing::warn!(
                address = %bound,
                "metrics are served beyond this machine, without encryption and without a password"
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(cannot_bind)?;
        let (stop, stopped) = watch::channel(false);
        let (running, ended) = mpsc::channel::<()>();
        let work = move || {
            runtime.block_on(serve(listener, routes(registry), bounds, stopped));
            drop(running);
        };
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(work)
            .map_err(|cause| MetricsError::Thread { address, cause })?;
        Ok(Self { address: bound, stop, ended })
    }

    /// The address of the server: the requested one, with the actual port in place of port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for MetricsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // The end of the thread closes the channel.
        if self.ended.recv_timeout(2 * Bounds::PARTING) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!(address = %self.address, "a metrics connection is still busy");
        }
    }
}

#[cfg(test)]
#[path = "metrics_server_tests.rs"]
mod tests;
