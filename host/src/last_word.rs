use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ExitCode;
use super::failure::Failure;
use super::printer::OutputFormat;
use super::run_owner::RunOwner;
use super::run_so_far::{RunSoFar, SoFar};
use sage_observe::{Screen, Summary};

/// Time limit of each write of the last word.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The size that a pipe accepts without blocking when it is writable (`PIPE_BUF`).
const PIECE: usize = 4096;

/// The last word: the report on a run that has not ended when the program ends. The summary and the JSON have
/// the same form as in the report on a complete run, with the counts known so far.
#[derive(Debug)]
pub(super) struct LastWord {
    pub(super) run: RunSoFar,
    pub(super) screen: Screen,
    pub(super) format: OutputFormat,
    pub(super) quiet: bool,
    /// True if records go to standard output. The last record may then be incomplete.
    pub(super) after_records: bool,
}

impl RunOwner for LastWord {
    fn say(&self, words: &str) {
        self.screen.print(&format!("{words}\n"));
    }

    fn timeout_name(&self) -> &'static str {
        "--drain-timeout"
    }

    /// Ends the program. The output may have no reader.
    fn leave(&self) -> ! {
        let SoFar { summary, failure, unended } = self.run.report();
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
}

impl LastWord {
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
