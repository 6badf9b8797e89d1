use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::time::timeout;

use super::bounds::{ANSWER_TIME, BODY_BYTES, BODY_TIME, FOLLOWERS, UPLOADS};
use super::device_look::DeviceLook;
use super::live_jobs::LiveJobs;
use super::problem::Problem;
use crate::access::{Rate, Rates, Sessions, TokenStore};
use crate::metrics::ApiCounts;
use crate::server::{EventFeed, Mailbox, Server, Settings};
use crate::store::{AuditLog, FileStore, SecretStore};

/// What the handlers share.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) mailbox: Mailbox,
    pub(super) feed: EventFeed,
    pub(super) files: FileStore,
    pub(super) secrets: SecretStore,
    pub(super) settings: Arc<Settings>,
    pub(super) access: Arc<Access>,
    pub(super) uploads: Arc<Semaphore>,
    pub(super) followers: Arc<Semaphore>,
    pub(super) dry_runs: Arc<Semaphore>,
    pub(super) live: LiveJobs,
    pub(super) counts: ApiCounts,
    pub(super) scrapes: Arc<Mutex<()>>,
    pub(super) devices: Arc<Mutex<DeviceLook>>,
}

/// The tokens, sessions and limits on requests.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) tokens: TokenStore,
    pub(super) audit: AuditLog,
    pub(super) sessions: Sessions,
    pub(super) rates: Rates,
}

impl Context {
    pub(super) fn new(server: &Server, mailbox: Mailbox, settings: Settings) -> Self {
        Self {
            mailbox,
            feed: server.feed(),
            files: server.files(),
            secrets: server.secrets(),
            access: Arc::new(Access {
                tokens: server.tokens(),
                audit: server.audit(),
                sessions: Sessions::default(),
                rates: Rates::new(settings.tenants.iter().map(|(tenant, ceiling)| {
                    (tenant.clone(), ceiling.requests_per_second.map_or(Rates::OF_TENANT, Rate::of))
                })),
            }),
            settings: Arc::new(settings),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
            dry_runs: Arc::new(Semaphore::new(2)),
            live: LiveJobs::default(),
            counts: ApiCounts::default(),
            scrapes: Arc::default(),
            devices: Arc::default(),
        }
    }

    /// The answer of the server's thread.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Server) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, replied) = oneshot::channel();
        self.mailbox.run(move |server| {
            // A client that has gone needs no answer.
            let _ = reply.send(question(server));
        })?;
        match timeout(ANSWER_TIME, replied).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(crate::server::Denied::Ending.into()),
            Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the server does not answer in time")),
        }
    }
}

/// A permit of a bounded resource, or the problem that there is none.
pub(super) fn permit(of: &Arc<Semaphore>, what: &str) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
    Arc::clone(of).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", format!("there are too many {what} at a time"))
    })
}

/// The next piece of a body, within the time for it.
pub(super) async fn piece(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
        let frame = timeout(BODY_TIME, next).await;
        let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", "the body does not come");
        match frame.map_err(slow)? {
            None => return Ok(None),
            Some(Err(error)) => return Err(Problem::bad("bad-body", format!("the body cannot be read: {error}"))),
            // Trailers say nothing here.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// A whole body of bounded size.
pub(super) async fn whole(mut body: Body) -> Result<Vec<u8>, Problem> {
    let collect = async {
        let mut all = Vec::new();
        while let Some(bytes) = piece(&mut body).await? {
            if all.len() + bytes.len() > BODY_BYTES {
                let detail = format!("the body has more than {BODY_BYTES} bytes");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    };
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", "the body takes too long");
    timeout(BODY_TIME, collect).await.map_err(slow)?
}

/// A body of JSON. An empty body is an empty object.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad("bad-json", format!("the body is not what this route takes: {error}")))
}
