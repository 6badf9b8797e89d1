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

/// Serves a run's numbers to Prometheus, at `/metrics`, and says at `/healthz` that the run goes on, until it is dropped.
///
/// One thread of its own reads and answers; a slow or silent reader never makes a lane wait, nor other readers. What connections may take is
/// bounded: see `Bounds`.
pub struct MetricsServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
}

/// Why metrics cannot be served.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// The address cannot be had.
    #[error("cannot serve metrics at {address}: {cause}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// No thread for it.
    #[error("cannot serve metrics at {address}: no thread for it")]
    Thread {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

impl MetricsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Bind { .. })
            .then_some("choose another port with --metrics, or port 0 for any that is free")
    }
}

impl MetricsServer {
    /// Begins to serve.
    ///
    /// # Errors
    /// When the address is taken, or not one of this machine's.
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
                "metrics are served beyond this machine, to whoever can reach it: without encryption, without a password"
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

    /// Where it serves: the address asked for, with the port that was given for port 0.
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
        // The thread's end closes the channel.
        if self.ended.recv_timeout(2 * Bounds::PARTING) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!(address = %self.address, "a reader of metrics is still busy");
        }
    }
}

#[cfg(test)]
#[path = "metrics_server_tests.rs"]
mod tests;
