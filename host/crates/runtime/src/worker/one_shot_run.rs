use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use thiserror::Error;

use super::listen::{Ending, Heard, listen};
use sage_process::sealed;
use sage_text::plain_text;

/// A one-shot process from its start to its reply. The process gets one item on its standard input, replies on
/// its standard output, and is killed at its timeout.
pub(super) struct OneShotRun<'r> {
    pub(super) program: &'r Path,
    pub(super) subcommand: &'static str,
    /// Arguments behind those of [`OneShotSetup`](super::OneShotSetup).
    pub(super) arguments: &'r [&'r str],
    /// The whole environment of the process.
    pub(super) environment: &'r [(&'r str, String)],
    /// Maximum bytes of memory.
    pub(super) memory: u64,
    /// Number of threads that may use the CPU at the same time.
    pub(super) threads: u64,
    pub(super) timeout: Duration,
    /// Maximum bytes of the reply.
    pub(super) longest_reply: usize,
}

/// The reason why a one-shot process has not replied.
#[derive(Debug, Error)]
pub(super) enum OneShotFailure {
    /// The process could not be started, or refused to work.
    #[error("{0}")]
    Unavailable(String),
    /// The process used up its wall time or its CPU time.
    #[error("it took too long")]
    TimedOut,
    /// The process used up its memory.
    #[error("it took too much memory")]
    OutOfMemory,
    /// The reply was longer than allowed.
    #[error("its reply was too long")]
    LongReply,
    /// The process ended before it was done.
    #[error("{0}")]
    Died(String),
}

impl OneShotRun<'_> {
    /// Runs the process on `item`, which becomes a sealed file called `name` in memory, and returns its reply.
    /// The calling thread waits for the process, because the process dies with the thread that started it.
    ///
    /// # Errors
    /// Any reason why there is no reply.
    pub(super) fn reply_to(&self, name: &str, item: &[u8]) -> Result<Vec<u8>, OneShotFailure> {
        let unavailable = |error: io::Error| OneShotFailure::Unavailable(error.to_string());
        let until = Instant::now() + self.timeout;
        let mut child = self.start(name, item).map_err(unavailable)?;
        let heard = listen(&mut child, until, self.longest_reply);
        // A process that has ended is not affected; a process that still runs has used up its time.
        let _ = child.kill();
        let status = child.wait().map_err(unavailable)?;
        judge(heard.map_err(unavailable)?, status)
    }

    fn start(&self, name: &str, item: &[u8]) -> io::Result<Child> {
        // The CPU limit is a guard behind the timeout on wall time: a second more for each started second.
        let cpu_seconds = (self.timeout.as_secs() + 2).saturating_mul(self.threads);
        Command::new(self.program)
            .arg(self.subcommand)
            .args([self.memory, cpu_seconds, std::process::id().into()].map(|number| number.to_string()))
            .args(self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            // Terminal signals are for the host, which decides about this process.
            .process_group(0)
            .stdin(Stdio::from(sealed(name, item)?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

fn judge(heard: Heard, status: ExitStatus) -> Result<Vec<u8>, OneShotFailure> {
    match heard.ending {
        Ending::TimeUp => return Err(OneShotFailure::TimedOut),
        Ending::TooMuch => return Err(OneShotFailure::LongReply),
        Ending::Ended => {}
    }
    if status.success() {
        return Ok(heard.reply);
    }
    let died = |how: String| Err(OneShotFailure::Died(how));
    let complaint = String::from_utf8_lossy(&heard.complaint);
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => Err(OneShotFailure::TimedOut),
        // Rust's allocator prints this message before it aborts.
        Some(_) if complaint.contains("memory allocation of ") => Err(OneShotFailure::OutOfMemory),
        Some(_) if complaint.contains("has overflowed its stack") => {
            died("ran out of stack: it is nested too deep".to_owned())
        }
        Some(signal) if signal == Signal::KILL.as_raw() => died("was killed by signal 9 (out of memory?)".to_owned()),
        Some(signal) => died(format!("was ended by signal {signal}")),
        None => {
            let said = plain_text(complaint.trim());
            Err(OneShotFailure::Unavailable(said.trim_start_matches("error: ").to_owned()))
        }
    }
}
