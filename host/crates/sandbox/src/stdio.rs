use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_io::bytes::Bytes;

use super::failure::{FailureCode, HostTrap};

/// Captures a guest's writes to standard output or standard error during a call, up to a bound. A panic message
/// is written nowhere else. After the call the text becomes log lines.
#[derive(Debug, Clone)]
pub(super) struct Captured(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether the buffer holds bytes. The buffer is nearly always empty, and taking the lock twice a call cost
    /// a twentieth of the call.
    written: AtomicBool,
    buffer: Mutex<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    kept: Vec<u8>,
    seen: u64,
    flood: u64,
}

/// Bytes that are kept of a call. A panic message with its location has a few hundred bytes.
const KEEP: usize = 8 << 10;

impl Captured {
    /// `flood` is the number of bytes per call above which the call fails.
    pub(super) fn new(flood: u64) -> Self {
        let buffer = Mutex::new(Buffer { flood, ..Buffer::default() });
        Self(Arc::new(Shared { buffer, ..Shared::default() }))
    }

    /// Takes the captured text. Returns the text and the number of bytes that were written since the last call
    /// of this method.
    pub(super) fn take(&self) -> (String, u64) {
        if !self.0.written.load(Ordering::Relaxed) {
            return (String::new(), 0);
        }
        let mut buffer = self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.written.store(false, Ordering::Relaxed);
        let text = String::from_utf8_lossy(&buffer.kept).into_owned();
        let seen = std::mem::take(&mut buffer.seen);
        buffer.kept.clear();
        (text, seen)
    }

    fn append(&self, bytes: &[u8]) -> Result<(), wasmtime::Error> {
        let mut buffer = self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.written.store(true, Ordering::Relaxed);
        buffer.seen += bytes.len() as u64;
        if buffer.seen > buffer.flood {
            let message = format!("the call wrote {} bytes to its standard output or error", buffer.seen);
            return Err(HostTrap::error(FailureCode::LogFlood, message));
        }
        let room = KEEP.saturating_sub(buffer.kept.len()).min(bytes.len());
        buffer.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(())
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes).map_err(StreamError::Trap)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

/// WASI 0.3 writes through this trait. The sandbox does not link WASI 0.3.
impl AsyncWrite for Captured {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.append(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
