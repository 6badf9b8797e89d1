use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tiny_http::{Header, Method, Request, Response, Server};

use super::Registry;
use super::exposition::Exposition;

/// Serves a run's numbers to Prometheus, at `/metrics`, until it is dropped.
///
/// On a thread of its own that answers one request after the other: who reads slowly makes other readers wait, never a lane.
pub struct MetricsServer {
    address: SocketAddr,
    server: Arc<Server>,
    ended: Receiver<()>,
}

/// Why metrics cannot be served.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// The address cannot be had.
    #[error("cannot serve metrics at {address}: {reason}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        reason: String,
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
    /// How long a reader in the middle of an answer is waited for at the end.
    const PARTING: Duration = Duration::from_secs(1);

    /// Begins to serve.
    ///
    /// # Errors
    /// When the address is taken, or not one of this machine's.
    pub fn bind(address: SocketAddr, registry: Arc<Registry>) -> Result<Self, MetricsError> {
        let server =
            Server::http(address).map_err(|error| MetricsError::Bind { address, reason: error.to_string() })?;
        let server = Arc::new(server);
        let bound = server.server_addr().to_ip().unwrap_or(address);
        let (running, ended) = mpsc::channel::<()>();
        let serve = {
            let server = Arc::clone(&server);
            move || {
                let exposition = Exposition::new(registry);
                // `recv` fails when the server is unblocked, which is the end.
                while let Ok(request) = server.recv() {
                    answer(request, &exposition);
                }
                drop(running);
            }
        };
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(serve)
            .map_err(|cause| MetricsError::Thread { address, cause })?;
        Ok(Self { address: bound, server, ended })
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
        self.server.unblock();
        // The thread's end closes the channel. A reader that takes its answer too slowly is left behind.
        if self.ended.recv_timeout(Self::PARTING) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!(address = %self.address, "a reader of metrics is still busy");
        }
    }
}

fn answer(request: Request, exposition: &Exposition) {
    let path = request.url().split('?').next().unwrap_or_default();
    let reads = matches!(request.method(), Method::Get | Method::Head);
    let (status, kind, body) = match (path, reads) {
        ("/metrics", true) => match exposition.write() {
            Ok(text) => (200, "application/openmetrics-text; version=1.0.0; charset=utf-8", text),
            Err(_) => (500, "text/plain", "the metrics could not be written\n".to_owned()),
        },
        ("/metrics", false) => (405, "text/plain", "metrics are only read: GET\n".to_owned()),
        _ => (404, "text/plain", "metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::from_string(body).with_status_code(status);
    if let Ok(header) = Header::from_bytes("Content-Type", kind) {
        response = response.with_header(header);
    }
    // A reader that went away needs no answer.
    let _ = request.respond(response);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::super::registry::watched;
    use super::*;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn ask(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn metrics_are_served_with_their_content_type_and_nothing_else_is() {
        let registry = watched(&[("parse", "map", 1)]);
        registry.stages[0].instances[0].counters.records_in.add(12);
        let server = MetricsServer::bind(any_port(), Arc::clone(&registry)).unwrap();
        let answer = ask(server.address(), "GET /metrics?x=1");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
        assert!(answer.contains(
            "\nsage_records_in_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 12\n"
        ));
        registry.stages[0].instances[0].counters.records_in.add(1);
        assert!(ask(server.address(), "GET /metrics").contains("operator_instance=\"0\"} 13\n"));
        for (line, status) in [("GET /", "404"), ("GET /metrics/x", "404"), ("POST /metrics", "405")] {
            let answer = ask(server.address(), line);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_an_error_that_names_it() {
        let taken = TcpListener::bind(any_port()).unwrap();
        let address = taken.local_addr().unwrap();
        let error = MetricsServer::bind(address, watched(&[])).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot serve metrics at {address}: ")), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn dropping_it_frees_the_address_even_with_a_silent_connection_open() {
        let server = MetricsServer::bind(any_port(), watched(&[])).unwrap();
        let address = server.address();
        let _silent = TcpStream::connect(address).unwrap();
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < MetricsServer::PARTING);
        // tiny_http closes its listening socket on a thread of its own, soon after.
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < deadline, "still listening");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
