use std::path::Path;
use std::time::Duration;

use sage_jobs::{ControlAnswer, ControlRequest, LONGEST_MESSAGE};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::process::ControlError;

/// Asks a job's process something, within a time for all of it. A process that is stopped costs this time and no
/// thread.
///
/// # Errors
/// See [`ControlError`].
pub(super) async fn call_job(socket: &Path, request: &ControlRequest, within: Duration) -> Result<Value, ControlError> {
    call_bounded(socket, request, within, LONGEST_MESSAGE).await
}

/// The same with a bound on the bytes of the answer.
pub(super) async fn call_bounded(
    socket: &Path,
    request: &ControlRequest,
    within: Duration,
    most: usize,
) -> Result<Value, ControlError> {
    let asked = async {
        let mut line = serde_json::to_vec(request).map_err(|error| ControlError::Malformed(error.to_string()))?;
        line.push(b'\n');
        // A process that accepts nothing has a full queue at some time, which is an error and no wait.
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        let mut bounded = BufReader::new(stream).take(most as u64);
        bounded.read_until(b'\n', &mut answer).await?;
        if !answer.ends_with(b"\n") {
            return Err(ControlError::Malformed("it is cut off or too long".to_owned()));
        }
        match serde_json::from_slice(&answer).map_err(|error| ControlError::Malformed(error.to_string()))? {
            ControlAnswer::Ok(value) => Ok(value),
            ControlAnswer::Error(message) => Err(ControlError::Refused(message)),
        }
    };
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    timeout(within, asked).await.map_err(late)?
}
