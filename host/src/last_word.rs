use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ExitCode;
use super::failure::Failure;
use super::printer::OutputFormat;
use super::verdict::verdict;
use sage_observe::{Registry, Summary};
use sage_runtime::engine::StopHandle;

/// Time limit of each write of the last word.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The size that a pipe accepts without blocking when it is writable (`PIPE_BUF`).
const PIECE: usize = 4096;

/// The last word: the report on a run that has not ended when the program ends. The summary and the JSON have
/// the same form as in the report on a complete run, with the counts known so far.
#[derive(Debug)]
pub(super) struct LastWord {
    stop: StopHandle,
    format: OutputFormat,
    quiet: bool,
    /// True if records go to standard output. The last record may then be incomplete.
    after_records: bool,
    /// The registry while the run lasts. The end of the run drops it, because it keeps the run's devices.
    registry: Mutex<Option<Arc<Registry>>>,
    summary: OnceLock<Summary>,
}

impl LastWord {
    pub(super) fn new(stop: StopHandle, format: OutputFormat, quiet: bool, after_records: bool) -> Self {
        let (registry, summary) = (Mutex::new(None), OnceLock::new());
        Self { stop, format, quiet, after_records, registry, summary }
    }

    /// Called when the run has begun.
    pub(super) fn begun(&self, registry: Arc<Registry>) {
        self.set_registry(Some(registry));
    }

    /// Called when the run is over and its summary has not been printed yet.
    pub(super) fn over(&self, summary: Summary) {
        // There is only one run, so this is the only call.
        let _ = self.summary.set(summary);
        self.set_registry(None);
    }

    fn set_registry(&self, registry: Option<Arc<Registry>>) {
        let before = std::mem::replace(&mut *self.registry.lock().unwrap_or_else(PoisonError::into_inner), registry);
        // Dropped after the lock is released, because dropping a registry may take a while.
        drop(before);
    }

    /// Ends the program. No step waits without a time limit: threads of the run may hold any lock, and the
    /// output may have no reader.
    pub(super) fn leave(&self) -> ! {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = || registry.map(|registry| Summary::of(&registry, self.stop.outcome_so_far()));
        let unended = self.stop.unended();
        let summary = self.summary.get().cloned().or_else(known);
        let summary = summary.map(|summary| Summary { unended: unended.clone(), ..summary });
        let failure = match &summary {
            Some(summary) => verdict(summary).err(),
            None => Some(Failure::new(ExitCode::Interrupted, "interrupted while it started: no record was read")),
        };
        let mut told = self.tell_program(summary.as_ref(), failure.as_ref());
        if let Some(summary) = summary.filter(|_| self.format == OutputFormat::Text && !self.quiet) {
            told.push_str(&format!("\n{summary}\n"));
        }
        if !unended.is_empty() {
            told.push_str(&format!("ended without waiting any longer for: {}\n", unended.join(", ")));
        }
        told.push_str(&failure.as_ref().map(Failure::text).unwrap_or_default());
        write_within(rustix::stdio::stderr(), told.as_bytes(), TIMEOUT);
        let code = failure.map_or(ExitCode::Interrupted, |failure| failure.exit_code());
        std::process::exit(code.number().into());
    }

    /// With `--output json`, writes the object to standard output. If that fails, returns text for standard
    /// error instead.
    fn tell_program(&self, summary: Option<&Summary>, failure: Option<&Failure>) -> String {
        if self.format != OutputFormat::Json {
            return String::new();
        }
        let object = match (summary, failure) {
            (Some(summary), _) => serde_json::to_value(summary).unwrap_or_default(),
            (None, failure) => failure.map(Failure::json).unwrap_or_default(),
        };
        let begin = if self.after_records { "\n" } else { "" };
        if write_within(rustix::stdio::stdout(), format!("{begin}{object}\n").as_bytes(), TIMEOUT) {
            return String::new();
        }
        let summary = summary.map(ToString::to_string).unwrap_or_default();
        format!("standard output accepts nothing, so the summary is printed here:\n\n{summary}\n")
    }
}

/// Writes all bytes within a time limit. Returns `false` if the time limit passed or a write failed.
fn write_within(output: BorrowedFd<'_>, mut bytes: &[u8], most: Duration) -> bool {
    let until = Instant::now() + most;
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().try_into().unwrap_or(0), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&output, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return false,
        }
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        match rustix::io::write(output, piece) {
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_nobody_reads_is_given_up_in_time() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        assert!(write_within(writer.as_fd(), b"a word\n", TIMEOUT));
        let mut read = [0; 7];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"a word\n");
        let begun = Instant::now();
        assert!(!write_within(writer.as_fd(), &vec![b'x'; 1 << 20], Duration::from_millis(20)));
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(reader);
        assert!(!write_within(writer.as_fd(), b"x", TIMEOUT), "there is no reader");
    }
}
