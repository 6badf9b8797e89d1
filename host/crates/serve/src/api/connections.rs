use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::bounds::{CONNECTIONS, HEAD_BYTES, HEAD_TIME, HEADERS, OF_PEER, PARTING, REST};
use super::in_job::is_in_job;
use crate::access::Peer;

/// Where connections come from.
pub(super) trait Source: Send + Sync + 'static {
    /// A connection that was accepted.
    type Accepted: Send + 'static;
    /// The stream of a connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Accepted, Peer)>> + Send;

    /// The stream of a connection, for example after a handshake. `None`: the peer did not get so far.
    fn open(&self, accepted: Self::Accepted) -> impl Future<Output = Option<Self::Stream>> + Send;
}

/// The unix socket, for the owner of the server.
#[derive(Debug)]
pub(super) struct OwnersSocket {
    pub(super) listener: UnixListener,
    /// The folder of jobs, whose names are those of their control groups.
    pub(super) jobs: PathBuf,
}

impl Source for OwnersSocket {
    type Accepted = UnixStream;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        // A peer without credentials is nobody.
        let credentials = stream.peer_cred().ok();
        let user = credentials.map_or(u32::MAX, |peer| peer.uid());
        let in_job = credentials.and_then(|peer| peer.pid()).is_some_and(|process| is_in_job(process, &self.jobs));
        Ok((stream, Peer::Unix { user, in_job }))
    }

    async fn open(&self, accepted: UnixStream) -> Option<UnixStream> {
        Some(accepted)
    }
}

impl Source for TcpListener {
    type Accepted = TcpStream;
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        Ok((stream, Peer::Tcp { address, tls: false }))
    }

    async fn open(&self, accepted: TcpStream) -> Option<TcpStream> {
        Some(accepted)
    }
}

/// Answers connections until `stopped` is true. Answers that are then in flight have a moment to be read.
pub(super) async fn serve(source: impl Source, routes: Router, mut stopped: watch::Receiver<bool>) {
    let source = Arc::new(source);
    let mut connections = Connections { tasks: JoinSet::new(), order: VecDeque::new() };
    let mut warned = false;
    while let Some(accepted) = unless(source.accept(), stopped.wait_for(|stopped| *stopped)).await {
        match accepted {
            Ok((stream, peer)) => {
                let (source, routes, stopped) = (Arc::clone(&source), routes.clone(), stopped.clone());
                let connection = async move {
                    if let Ok(Some(stream)) = timeout(HEAD_TIME, source.open(stream)).await {
                        answer(stream, peer, routes, stopped).await;
                    }
                };
                connections.admit(connection, peer.network());
                warned = false;
            }
            Err(error) => {
                // For example, no descriptors are left. One will be free soon, if necessary by closing one of these
                // connections.
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "cannot accept a connection; retrying until it succeeds");
                }
                connections.close_oldest(None);
                sleep(REST).await;
            }
        }
    }
    drop(source);
    let _ = timeout(PARTING, async { while connections.tasks.join_next().await.is_some() {} }).await;
}

/// The open connections, the oldest first.
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<(AbortHandle, Option<IpAddr>)>,
}

impl Connections {
    fn admit(&mut self, connection: impl Future<Output = ()> + Send + 'static, network: Option<IpAddr>) {
        while self.tasks.try_join_next().is_some() {}
        self.order.retain(|(connection, _)| !connection.is_finished());
        let own = self.order.iter().filter(|(_, other)| network.is_some() && *other == network).count();
        if own >= OF_PEER {
            self.close_oldest(network);
        } else if self.order.len() >= CONNECTIONS {
            self.close_oldest(None);
        }
        self.order.push_back((self.tasks.spawn(connection), network));
    }

    /// Closes the oldest connection of a peer, or of all.
    fn close_oldest(&mut self, network: Option<IpAddr>) {
        let oldest = self.order.iter().position(|(_, of)| network.is_none() || *of == network);
        if let Some((oldest, _)) = oldest.and_then(|oldest| self.order.remove(oldest)) {
            oldest.abort();
        }
    }
}

/// Answers the requests of one connection.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    routes: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let routes = routes.layer(Extension(peer));
    let routes =
        if matches!(peer, Peer::Tcp { tls: true, .. }) { routes.layer(map_response(only_tls)) } else { routes };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    // An invalid request or a lost connection concerns only the peer.
    if unless(connection.as_mut(), stopped.wait_for(|stopped| *stopped)).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(PARTING, connection).await;
    }
}

/// Tells browsers to use TLS only for this name, for a year.
async fn only_tls(mut response: Response) -> Response {
    let value = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    response
}

/// The result of `work`, or `None` if `end` completes first.
async fn unless<T>(work: impl Future<Output = T>, end: impl Future) -> Option<T> {
    let (mut work, mut end) = (pin!(work), pin!(end));
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        end.as_mut().poll(context).map(|_| None)
    })
    .await
}
