use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use sage_sandbox::{Failure, FailureCode};
use sage_text::plain_text;

/// The reason why a worker is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Death {
    /// The kernel killed it because memory ran out: a description, and the name of the limit.
    OutOfMemory(String, &'static str),
    /// A signal killed it.
    Signal(i32),
    /// The process ended by itself, with this exit code and this text on its standard error.
    Exit(i32, String),
    /// The host ended it for this reason.
    Ended(String),
}

impl Death {
    /// The death according to the exit status of the process, if memory was not the reason.
    pub(super) fn of(status: ExitStatus, last_words: &OwnedFd) -> Self {
        match (status.signal(), status.code()) {
            (Some(signal), _) => Self::Signal(signal),
            (None, code) => Self::Exit(code.unwrap_or(-1), read_last_words(last_words)),
        }
    }

    /// The death as a failure of the call in flight.
    pub(super) fn failure(&self) -> Failure {
        let message = self.tell("the worker process");
        match self {
            Self::OutOfMemory(_, limit) => {
                Failure { worker_died: true, breached: Some(limit), ..Failure::new(FailureCode::Memory, message) }
            }
            _ => Failure { worker_died: true, ..Failure::new(FailureCode::Worker, message) },
        }
    }

    /// The death of `process`, in words.
    pub(super) fn tell(&self, process: &str) -> String {
        match self {
            Self::OutOfMemory(what, _) => what.clone(),
            Self::Signal(signal) => format!("{process} was killed by {}", name_of(*signal)),
            Self::Exit(code, words) if words.is_empty() => format!("{process} ended with exit code {code}"),
            Self::Exit(code, words) => format!("{process} ended with exit code {code}: {words}"),
            Self::Ended(why) => format!("{process} was ended: {why}"),
        }
    }
}

/// The beginning of a process's standard error, as plain text.
pub(super) fn read_last_words(file: &OwnedFd) -> String {
    let mut bytes = vec![0; 4096];
    let read = rustix::io::pread(file, &mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end_matches('\0').trim();
    plain_text(text.strip_prefix("error: ").unwrap_or(text)).into_owned()
}

fn name_of(signal: i32) -> String {
    let known = rustix::process::Signal::from_named_raw(signal).map(|known| format!("{known:?}"));
    match known.as_deref().and_then(|name| name.rsplit(':').next()) {
        // These two signals have other names everywhere else.
        Some(name) if name.contains("ABORT") => "SIGABRT".to_owned(),
        Some(name) if name.contains("ALARM") => "SIGALRM".to_owned(),
        Some(name) => format!("SIG{}", name.trim_matches('"')),
        None => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_death_is_told_in_words() {
        for (death, told) in [
            (Death::Signal(9), "worker: the worker process was killed by SIGKILL"),
            (Death::Signal(6), "worker: the worker process was killed by SIGABRT"),
            (Death::Exit(2, String::new()), "worker: the worker process ended with exit code 2"),
            (
                Death::Exit(1, "no such thing".into()),
                "worker: the worker process ended with exit code 1: no such thing",
            ),
            (Death::OutOfMemory("all gone".into(), "worker_memory"), "memory: all gone"),
        ] {
            let failure = death.failure();
            assert_eq!((failure.to_string().as_str(), failure.worker_died), (told, true));
        }
    }
}
