use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};
use sage_jobs::{ControlAnswer, ControlRequest, LONGEST_MESSAGE};
use serde_json::Value;

/// Why a job gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It cannot be reached, or did not answer in time.
    #[error("the job does not answer: {0}")]
    Unreachable(#[from] io::Error),
    /// It answered with an error.
    #[error("{0}")]
    Refused(String),
    /// It answered with something else.
    #[error("the job's answer cannot be read: {0}")]
    Malformed(String),
}

/// Asks a job's process something, within a time limit for each step.
///
/// # Errors
/// See [`ControlError`].
pub fn ask(socket: &Path, request: &ControlRequest, within: Duration) -> Result<Value, ControlError> {
    let mut stream = open(socket, within)?;
    stream.set_read_timeout(Some(within))?;
    let mut line = serde_json::to_vec(request).map_err(|error| ControlError::Malformed(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream).take(LONGEST_MESSAGE as u64).read_until(b'\n', &mut answer)?;
    if !answer.ends_with(b"\n") {
        return Err(ControlError::Malformed("it has no end".to_owned()));
    }
    match serde_json::from_slice(&answer).map_err(|error| ControlError::Malformed(error.to_string()))? {
        ControlAnswer::Ok(value) => Ok(value),
        ControlAnswer::Error(message) => Err(ControlError::Refused(message)),
    }
}

/// Connects within a time limit: a process that is stopped accepts nothing, and its queue may be full.
fn open(socket: &Path, within: Duration) -> io::Result<UnixStream> {
    let unconnected: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&unconnected, sockopt::Timeout::Send, Some(within))?;
    connect(&unconnected, &SocketAddrUnix::new(socket)?)?;
    Ok(UnixStream::from(unconnected))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_job_that_accepts_nothing_and_one_that_says_nothing_cost_the_time_limit_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let soon = Duration::from_millis(50);
        assert!(matches!(ask(&path, &ControlRequest::Status, soon), Err(ControlError::Unreachable(_))));
        let _listener = UnixListener::bind(&path).unwrap();
        let begun = std::time::Instant::now();
        let waiting: Vec<_> = std::iter::from_fn(|| open(&path, soon).ok()).take(10_000).collect();
        assert!(waiting.len() < 10_000, "the queue of a listener is bounded");
        assert!(matches!(ask(&path, &ControlRequest::Status, soon), Err(ControlError::Unreachable(_))));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn answers_errors_and_nonsense_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let answers = ["{\"ok\":{\"a\":1}}\n", "{\"error\":\"not now\"}\n", "hello\n", "{\"ok\":"];
        let peer = std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                assert_eq!(line, "{\"do\":\"status\"}\n");
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
        });
        let asked = || ask(&path, &ControlRequest::Status, Duration::from_secs(30));
        assert_eq!(asked().unwrap(), serde_json::json!({ "a": 1 }));
        assert!(matches!(asked(), Err(ControlError::Refused(message)) if message == "not now"));
        assert!(matches!(asked(), Err(ControlError::Malformed(_))));
        assert!(matches!(asked(), Err(ControlError::Malformed(_))));
        peer.join().unwrap();
    }
}
