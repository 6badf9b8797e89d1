use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::bounds::{CONNECTIONS, HEAD_BYTES, HEAD_TIME, HEADERS, PARTING, REST};
use super::principal::Principal;

/// Answers connections until `stopped` is true. Answers that are then in flight have a moment to be read.
pub(super) async fn serve(listener: UnixListener, routes: Router, mut stopped: watch::Receiver<bool>) {
    let mut connections = Connections { tasks: JoinSet::new(), order: VecDeque::new() };
    let mut warned = false;
    while let Some(accepted) = unless(listener.accept(), stopped.wait_for(|stopped| *stopped)).await {
        match accepted {
            Ok((stream, _)) => {
                connections.admit(answer(stream, routes.clone(), stopped.clone()));
                warned = false;
            }
            Err(error) => {
                // For example, no descriptors are left. One will be free soon, if necessary by closing one of these
                // connections.
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "cannot accept a connection; retrying until it succeeds");
                }
                connections.close_oldest();
                sleep(REST).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(PARTING, async { while connections.tasks.join_next().await.is_some() {} }).await;
}

/// The open connections, the oldest first.
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<AbortHandle>,
}

impl Connections {
    fn admit(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.order.retain(|connection| !connection.is_finished());
        if self.order.len() >= CONNECTIONS {
            self.close_oldest();
        }
        self.order.push_back(self.tasks.spawn(connection));
    }

    fn close_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            oldest.abort();
        }
    }
}

/// Answers the requests of one connection.
async fn answer(stream: UnixStream, routes: Router, mut stopped: watch::Receiver<bool>) {
    // A peer without credentials is nobody.
    let user = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
    let routes = routes.layer(Extension(Principal { user }));
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
