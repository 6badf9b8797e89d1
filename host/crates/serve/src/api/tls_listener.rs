use std::io;
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connections::Source;
use crate::access::Peer;
use crate::tls::Certificates;

/// The first byte of a handshake.
const HANDSHAKE: u8 = 22;

/// TCP with TLS. The handshake has the time of a request's head, and counts as a connection.
#[derive(Debug)]
pub(super) struct TlsListener {
    pub(super) listener: TcpListener,
    pub(super) certificates: Arc<Certificates>,
}

impl Source for TlsListener {
    type Accepted = TcpStream;
    type Stream = TlsStream<TcpStream>;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = self.listener.accept().await?;
        Ok((stream, Peer::Tcp { address, tls: true }))
    }

    async fn open(&self, mut accepted: TcpStream) -> Option<TlsStream<TcpStream>> {
        let mut first = [0];
        if accepted.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first != [HANDSHAKE] {
            refuse(&mut accepted).await;
            return None;
        }
        let acceptor = TlsAcceptor::from(self.certificates.current());
        match acceptor.accept(accepted).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "a handshake failed");
                None
            }
        }
    }
}

/// Tells a client that it speaks HTTP without TLS.
async fn refuse(stream: &mut TcpStream) {
    let problem = json!({
        "title": "Bad Request",
        "status": 400,
        "code": "tls-only",
        "detail": "this port speaks TLS only, and the request came without it",
        "hint": "use https:// in the address of the server",
    });
    let body = format!("{problem}\n");
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    if stream.write_all(answer.as_bytes()).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    // A connection that is closed with bytes that nobody read takes the answer with it.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}
