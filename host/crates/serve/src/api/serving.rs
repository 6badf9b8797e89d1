use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::bounds::PARTING;
use super::connections::{OwnersSocket, serve};
use super::context::Context;
use super::listener::{ListenError, fits, listen};
use super::routes::routes;
use super::tcp_listener::listen_tcp;
use super::tls_listener::TlsListener;
use crate::server::{Mailbox, Server, Settings};
use crate::tls::Certificates;

/// Serves the API on a unix socket, and over TCP, until it is dropped, which removes the socket.
pub struct ApiServer {
    socket: PathBuf,
    tcp: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listening<'a> {
    /// The unix socket.
    pub socket: &'a Path,
    /// The address for TCP, if any. Port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// The certificate for TCP. Without one, nothing is encrypted.
    pub tls: Option<Arc<Certificates>>,
    /// Whether other machines may connect without encryption.
    pub insecure: bool,
}

impl ApiServer {
    /// Makes the folder for the sockets of jobs, and checks that their paths are not too long.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn make_folder(sockets: &Path) -> Result<(), ListenError> {
        fits(&sockets.join("abcdefghijklmnop"))?;
        let failed = |source| ListenError::Io { path: sockets.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(sockets).map_err(failed)
    }

    /// Starts to serve.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn start(
        listening: &Listening<'_>,
        server: &Server,
        mailbox: Mailbox,
        settings: Settings,
    ) -> Result<Self, ListenError> {
        let socket = listening.socket;
        let failed = |source: io::Error| ListenError::Io { path: socket.to_owned(), source };
        // The socket is made last: a server that cannot listen elsewhere leaves none.
        let tcp = listening
            .tcp
            .map(|address| listen_tcp(address, listening.insecure || listening.tls.is_some()))
            .transpose()?;
        let address = tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
        let listener = listen(socket)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(64)
            .thread_name("api")
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let jobs = server.state_folder().join("jobs");
        let routes = routes(Context::new(server, mailbox, settings));
        let certificates = listening.tls.clone();
        let (stop, stopped) = watch::channel(false);
        let (running, ended) = mpsc::channel::<()>();
        let work = move || {
            runtime.block_on(async move {
                let over_tcp = tcp.map(|tcp| {
                    let (routes, stopped) = (routes.clone(), stopped.clone());
                    tokio::spawn(async move {
                        match (TcpListener::from_std(tcp), certificates) {
                            (Ok(listener), Some(certificates)) => {
                                serve(TlsListener { listener, certificates }, routes, stopped).await;
                            }
                            (Ok(tcp), None) => serve(tcp, routes, stopped).await,
                            (Err(error), _) => tracing::error!(%error, "the API is not served over TCP"),
                        }
                    })
                });
                match UnixListener::from_std(listener) {
                    Ok(listener) => serve(OwnersSocket { listener, jobs }, routes, stopped).await,
                    Err(error) => tracing::error!(%error, "the API is not served"),
                }
                if let Some(over_tcp) = over_tcp {
                    let _ = over_tcp.await;
                }
            });
            // Uploads and questions to jobs that are under way do not keep the server.
            runtime.shutdown_background();
            drop(running);
        };
        thread::Builder::new().name("api".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { socket: socket.to_owned(), tcp: address, stop, ended })
    }

    /// The address for TCP, with the port that the system gave.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // The end of the thread closes the channel.
        let _ = self.ended.recv_timeout(2 * PARTING);
        // The next server would replace it.
        let _ = std::fs::remove_file(&self.socket);
    }
}
