use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use tokio::net::UnixListener;
use tokio::sync::watch;

use super::bounds::PARTING;
use super::connections::serve;
use super::context::Context;
use super::listener::{ListenError, fits, listen};
use super::routes::routes;
use crate::server::{Mailbox, Server, Settings};

/// Serves the API on a unix socket until it is dropped, which removes the socket.
pub struct ApiServer {
    socket: PathBuf,
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
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
    pub fn start(socket: &Path, server: &Server, mailbox: Mailbox, settings: Settings) -> Result<Self, ListenError> {
        let failed = |source: io::Error| ListenError::Io { path: socket.to_owned(), source };
        let listener = listen(socket)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(64)
            .thread_name("api")
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let routes = routes(Context::new(server, mailbox, settings));
        let (stop, stopped) = watch::channel(false);
        let (running, ended) = mpsc::channel::<()>();
        let work = move || {
            runtime.block_on(async move {
                match UnixListener::from_std(listener) {
                    Ok(listener) => serve(listener, routes, stopped).await,
                    Err(error) => tracing::error!(%error, "the API is not served"),
                }
            });
            // Uploads and questions to jobs that are under way do not keep the server.
            runtime.shutdown_background();
            drop(running);
        };
        thread::Builder::new().name("api".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { socket: socket.to_owned(), stop, ended })
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
