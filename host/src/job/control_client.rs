use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sage_jobs::{ControlAnswer, ControlReader, ControlRequest, LONGEST_MESSAGE, RequestError};
use serde_json::Value;

use super::job_state::JobState;
use crate::signals::StopRequests;

/// Longest time until a request has arrived, and until an answer was taken.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to the control socket.
pub(super) struct ControlClient {
    pub(super) connection: UnixStream,
    pub(super) state: Arc<JobState>,
    pub(super) stop: StopRequests,
}

impl ControlClient {
    /// Answers requests until the peer has no more, is too slow, or sends no requests.
    pub(super) fn serve(self) {
        let mut reader = ControlReader::new(Deadline::of(&self.connection));
        loop {
            let (answer, goes_on) = match reader.next_request() {
                Ok(None) | Err(RequestError::Io(_)) => return,
                Ok(Some(request)) => (self.answer(&request), true),
                Err(error @ RequestError::Malformed(_)) => (ControlAnswer::Error(error.to_string()), true),
                Err(error) => (ControlAnswer::Error(error.to_string()), false),
            };
            if self.send(&answer).is_err() || !goes_on {
                return;
            }
            *reader.get_mut() = Deadline::of(&self.connection);
        }
    }

    /// Answers with an error and closes the connection.
    pub(super) fn refuse(self, why: &str) {
        // The kernel's buffer takes so short a text, so this does not wait for the peer.
        let _ = self.send(&ControlAnswer::Error(why.to_owned()));
    }

    fn answer(&self, request: &ControlRequest) -> ControlAnswer {
        let found = match request {
            ControlRequest::Status => serde_json::to_value(self.state.status()).ok(),
            ControlRequest::Explain => self.state.report(),
            ControlRequest::Metrics => self.state.metrics().map(Value::from),
            ControlRequest::Graph => self.state.graph(),
            ControlRequest::Drain { timeout } => {
                self.stop.drain(timeout.map(Duration::from_millis));
                Some(Value::Null)
            }
            ControlRequest::Savepoint { name, stop } => {
                return self.state.savepoint(name, *stop).map_or_else(ControlAnswer::Error, ControlAnswer::Ok);
            }
            ControlRequest::Abort => {
                self.stop.abort();
                Some(Value::Null)
            }
        };
        found.map_or_else(
            || ControlAnswer::Error("the job has not come so far, or is over".to_owned()),
            ControlAnswer::Ok,
        )
    }

    fn send(&self, answer: &ControlAnswer) -> io::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        if line.len() >= LONGEST_MESSAGE {
            line = serde_json::to_vec(&ControlAnswer::Error(format!(
                "the answer is longer than {LONGEST_MESSAGE} bytes"
            )))?;
        }
        line.push(b'\n');
        Deadline::of(&self.connection).write_all(&line)
    }
}

/// Reads from a connection or writes to it until a point in time, however slowly the bytes move.
#[derive(Debug)]
struct Deadline<'a> {
    connection: &'a UnixStream,
    until: Instant,
}

impl<'a> Deadline<'a> {
    /// The time limit of one request or answer from now on.
    fn of(connection: &'a UnixStream) -> Self {
        Self { connection, until: Instant::now() + TIMEOUT }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Deadline<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.connection.set_read_timeout(self.left()?)?;
        (&mut &*self.connection).read(into)
    }
}

impl Write for Deadline<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connection.set_write_timeout(self.left()?)?;
        (&mut &*self.connection).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
