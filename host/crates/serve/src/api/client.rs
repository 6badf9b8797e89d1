use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::body::{Body, HttpBody as _};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sage_plan::config::TenantName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::problem::Problem;
use super::server_url::ServerUrl;
use crate::tls::{TlsFailure, Trust};

/// Longest wait for an answer to begin. A dry run compiles components.
const ANSWER: Duration = Duration::from_secs(150);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Tries after the server said that requests come too fast.
const TRIES: u32 = 5;
/// Longest silence of a stream, which has heartbeats.
const SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of an answer that is not a stream.
const LARGEST: usize = 64 << 20;

/// A client of the API, for programs without an async runtime. Each request has a connection of its own.
pub struct Client {
    server: ServerPlace,
    token: Option<String>,
    tenant: Option<TenantName>,
    trust: Trust,
    runtime: Runtime,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerPlace {
    /// A unix socket.
    Socket(PathBuf),
    /// TCP.
    Url(ServerUrl),
}

impl fmt::Display for ServerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no server answers on {server}: {source}")]
    Connect {
        /// The server.
        server: ServerPlace,
        /// The reason.
        source: io::Error,
    },
    /// The server is not the one that it should be, or does not speak TLS.
    #[error("no safe connection to {server}: {failure}")]
    Tls {
        /// The server.
        server: ServerPlace,
        /// The reason, and what helps.
        failure: TlsFailure,
    },
    /// The connection failed.
    #[error("the connection to the server failed: {0}")]
    Connection(String),
    /// The answer is not what was asked for.
    #[error("the server's answer cannot be read: {0}")]
    Malformed(String),
    /// The server refused.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
}

impl Client {
    /// A client of the server on this socket. It connects with each request.
    ///
    /// # Errors
    /// The system has no descriptors for it.
    pub fn new(socket: &Path) -> io::Result<Self> {
        Self::of(ServerPlace::Socket(socket.to_owned()))
    }

    /// A client of the server at this place.
    ///
    /// # Errors
    /// The system has no descriptors for it.
    pub fn of(server: ServerPlace) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { server, token: None, tenant: None, trust: Trust::default(), runtime })
    }

    /// Says who asks.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// Says whom to trust to be the server, for one with TLS.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Asks about the things of this tenant.
    #[must_use]
    pub fn of_tenant(self, tenant: Option<TenantName>) -> Self {
        Self { tenant, ..self }
    }

    /// The value at a path.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json("GET", path, &[], Vec::new())
    }

    /// Sends a value, and reads the answer as another.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, value: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(value).map_err(|error| ClientError::Malformed(error.to_string()))?;
        self.json("POST", path, &[("content-type", "application/json")], body)
    }

    /// Sends a request and reads the answer as JSON.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let answer = self.request(method, path, headers, body)?;
        let body = if answer.body.is_empty() { b"null".as_slice() } else { &answer.body };
        serde_json::from_slice(body).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        let mut tries = TRIES;
        loop {
            let mut all = Vec::new();
            let exchanged = self.runtime.block_on(self.exchange(method, path, headers, body.clone(), |piece| {
                all.extend_from_slice(piece);
                if all.len() > LARGEST { Err("it is too long".to_owned()) } else { Ok(()) }
            }));
            match exchanged {
                // Nothing of the request was done.
                Err(ClientError::Refused(problem)) if problem.code == "too-fast" && tries > 0 => {
                    tries -= 1;
                    std::thread::sleep(Duration::from_secs(1));
                }
                exchanged => return exchanged.map(|status| Answer { status, body: all }),
            }
        }
    }

    /// Reads a stream of lines until its end, or until `each` returns `false`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn lines(&self, path: &str, mut each: impl FnMut(&str) -> bool) -> Result<(), ClientError> {
        const ENOUGH: &str = "enough";
        let mut rest: Vec<u8> = Vec::new();
        let read = self.runtime.block_on(self.exchange("GET", path, &[], Vec::new(), |piece| {
            rest.extend_from_slice(piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                let line = line.trim();
                if !line.is_empty() && !each(line) {
                    return Err(ENOUGH.to_owned());
                }
            }
            Ok(())
        }));
        match read {
            Err(ClientError::Malformed(why)) if why == ENOUGH => Ok(()),
            read => read.map(drop),
        }
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        mut each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<u16, ClientError> {
        let lost = |error: hyper::Error| ClientError::Connection(error.to_string());
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let host = match &self.server {
            ServerPlace::Socket(_) => "localhost".to_owned(),
            ServerPlace::Url(url) => url.authority(),
        };
        let mut request = Request::builder().method(method).uri(self.path(path)).header("host", host);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let mut sender = self.connect().await?;
        let silent = |_| ClientError::Connection("the server does not answer".to_owned());
        let response = timeout(ANSWER, sender.send_request(request)).await.map_err(silent)?.map_err(lost)?;
        let status = response.status();
        let mut incoming = response.into_body();
        let mut problem = Vec::new();
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut incoming).poll_frame(context));
            let Some(frame) = timeout(SILENCE, next).await.map_err(silent)? else { break };
            let Ok(bytes) = frame.map_err(lost)?.into_data() else { continue };
            if status.is_success() {
                each(&bytes).map_err(ClientError::Malformed)?;
            } else {
                problem.extend_from_slice(&bytes);
                if problem.len() > LARGEST {
                    return Err(ClientError::Malformed("it is too long".to_owned()));
                }
            }
        }
        if status.is_success() {
            return Ok(status.as_u16());
        }
        Answer { status: status.as_u16(), body: problem }.successful().map(|answer| answer.status)
    }

    /// The path of what is asked for, with the tenant.
    fn path(&self, path: &str) -> String {
        match (&self.tenant, path.strip_prefix("/v1/")) {
            (Some(tenant), Some(rest)) => format!("/v1/tenants/{tenant}/{rest}"),
            _ => path.to_owned(),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Body>, ClientError> {
        let unreached = |source| ClientError::Connect { server: self.server.clone(), source };
        match &self.server {
            ServerPlace::Socket(path) => self.begin(UnixStream::connect(path).await.map_err(unreached)?).await,
            ServerPlace::Url(url) => {
                let connecting = timeout(CONNECT, TcpStream::connect((url.host.as_str(), url.port))).await;
                let late = |_| unreached(io::ErrorKind::TimedOut.into());
                let stream = connecting.map_err(late)?.map_err(unreached)?;
                if url.tls { self.begin(self.encrypt(stream, url).await?).await } else { self.begin(stream).await }
            }
        }
    }

    async fn encrypt(&self, stream: TcpStream, url: &ServerUrl) -> Result<TlsStream<TcpStream>, ClientError> {
        let unsafe_to = |failure| ClientError::Tls { server: self.server.clone(), failure };
        let (settings, watched) = self.trust.settings().map_err(unsafe_to)?;
        let name = ServerName::try_from(url.host.clone())
            .map_err(|error| ClientError::Malformed(format!("{}: {error}", url.host)))?;
        let connecting = timeout(CONNECT, TlsConnector::from(Arc::new(settings)).connect(name, stream)).await;
        let late = |_| ClientError::Connection("the server does not finish the handshake".to_owned());
        connecting
            .map_err(late)?
            .map_err(|error| unsafe_to(TlsFailure::of_handshake(&error, &url.host, (watched.seen(), watched.pinned()))))
    }

    async fn begin(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<SendRequest<Body>, ClientError> {
        let lost = |error: hyper::Error| ClientError::Connection(error.to_string());
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // Its errors reach the request.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Answer {
    /// The answer, if the server carried the request out.
    fn successful(self) -> Result<Self, ClientError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let problem = serde_json::from_slice(&self.body).unwrap_or_else(|_| {
            let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Problem::new(status, "no-problem", format!("the server answered {status}"))
        });
        Err(ClientError::Refused(Box::new(problem)))
    }
}
