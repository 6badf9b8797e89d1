use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// The bounds of all metrics connections together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most connections at a time. The oldest is closed for a new one, so idle connections cannot keep other
    /// readers out.
    pub(super) connections: usize,
    /// Longest time to receive the head of a request. The limit applies to each request on a connection that is
    /// kept open.
    pub(super) head_time: Duration,
    /// Longest life of a connection, even if an answer has not been read.
    pub(super) life: Duration,
    /// Pause of accepting after the system had no descriptor or memory for a connection.
    pub(super) rest: Duration,
}

impl Bounds {
    /// Most headers of a request, and most bytes of its head.
    const HEADERS: usize = 64;
    const HEAD_BYTES: usize = 16 << 10;
    /// Longest wait at the end for a reader in the middle of an answer.
    pub(super) const PARTING: Duration = Duration::from_secs(1);
}

impl Default for Bounds {
    /// Prometheus sends a request every 15 to 60 seconds on one connection, and opens another if the connection
    /// was closed.
    fn default() -> Self {
        Self {
            connections: 32,
            head_time: Duration::from_secs(10),
            life: Duration::from_secs(120),
            rest: Duration::from_millis(100),
        }
    }
}

/// Answers connections until `stopped` is true. Answers that are then in flight have [`Bounds::PARTING`] to be
/// read.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    routes: Router,
    bounds: Bounds,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, "metrics are not served"),
    };
    let mut connections = Connections { tasks: JoinSet::new(), order: VecDeque::new(), most: bounds.connections };
    let mut warned = false;
    while let Some(accepted) = unless(listener.accept(), stopped.wait_for(|stopped| *stopped)).await {
        match accepted {
            Ok((stream, _)) => {
                connections.admit(answer(stream, routes.clone(), bounds, stopped.clone()));
                warned = false;
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                // For example, no descriptors are left. One will be free soon, if necessary by closing one of
                // these connections.
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "cannot accept a metrics connection; retrying until it succeeds");
                }
                connections.close_oldest();
                sleep(bounds.rest).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(Bounds::PARTING, async { while connections.tasks.join_next().await.is_some() {} }).await;
}

/// The open connections, the oldest first.
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<AbortHandle>,
    most: usize,
}

impl Connections {
    fn admit(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.order.retain(|connection| !connection.is_finished());
        if self.order.len() >= self.most {
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
async fn answer(stream: TcpStream, routes: Router, bounds: Bounds, mut stopped: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_headers(Bounds::HEADERS)
        .max_buf_size(Bounds::HEAD_BYTES)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    let enough = async {
        let _ = timeout(bounds.life, stopped.wait_for(|stopped| *stopped)).await;
    };
    // An invalid request or a lost connection concerns only the reader.
    if unless(connection.as_mut(), enough).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(Bounds::PARTING, connection).await;
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

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
