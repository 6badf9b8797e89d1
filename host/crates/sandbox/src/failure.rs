use std::fmt;

use rustix::io::Errno;
use thiserror::Error;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;

use super::handles::MOST_HANDLES;
use super::printed::Printed;
use sage_machine::{OverBudget, OwnLimit, limit_behind};
use sage_text::plain_text;

/// The reason why a call failed. The names are stable: dead letters, metrics and summaries contain them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureCode {
    /// The guest trapped: unreachable code, memory out of bounds, division by zero, …
    Trap,
    /// The guest panicked; the message is its panic text.
    Panic,
    /// The instance asked for more memory than its cap.
    Memory,
    /// The call used more CPU time than `limits.cpu_time_per_call`.
    CpuTime,
    /// The call took longer than `limits.call_timeout`.
    Timeout,
    /// The guest's output breaks the contract.
    Malformed,
    /// The call sent more than `limits.output_bytes_per_call`.
    OutputTooLarge,
    /// A record is larger than `limits.record_bytes`, or than the credit of an edge on its way.
    RecordTooLarge,
    /// The call logged more than 16 times `limits.log_bytes_per_second`.
    LogFlood,
    /// The guest's stack overflowed.
    StackOverflow,
    /// `open` returned an error.
    Open,
    /// The guest called `exit`.
    Exit,
    /// The operator rejected the record.
    Rejected,
    /// The instance was rebuilt too many times in a row.
    Restarts,
    /// The worker process of the instance died, or broke the protocol.
    Worker,
    /// A built-in source could not read a record, and continued after the record.
    BadRecord,
    /// A built-in source could not read a file, or not to its end, and continued with the next file.
    BadFile,
    /// A source or sink cannot go on, or a component of that kind returned an error.
    Connector,
    /// A limit of a strict run is no longer enforced as strictly as it was.
    LimitLost,
    /// A fault of the host and not of the guest.
    Fault,
}

impl FailureCode {
    /// All codes, in the order of the documentation.
    pub const ALL: [Self; 20] = [
        Self::Trap,
        Self::Panic,
        Self::Memory,
        Self::CpuTime,
        Self::Timeout,
        Self::Malformed,
        Self::OutputTooLarge,
        Self::RecordTooLarge,
        Self::LogFlood,
        Self::StackOverflow,
        Self::Open,
        Self::Exit,
        Self::Rejected,
        Self::Restarts,
        Self::Worker,
        Self::BadRecord,
        Self::BadFile,
        Self::Connector,
        Self::LimitLost,
        Self::Fault,
    ];

    /// The code's name, as files contain it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Panic => "panic",
            Self::Memory => "memory",
            Self::CpuTime => "cpu-time",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::OutputTooLarge => "output-too-large",
            Self::RecordTooLarge => "record-too-large",
            Self::LogFlood => "log-flood",
            Self::StackOverflow => "stack-overflow",
            Self::Open => "open",
            Self::Exit => "exit",
            Self::Rejected => "rejected",
            Self::Restarts => "restarts",
            Self::Worker => "worker",
            Self::BadRecord => "bad-record",
            Self::BadFile => "bad-file",
            Self::Connector => "connector",
            Self::LimitLost => "limit-lost",
            Self::Fault => "fault",
        }
    }

    /// The code with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The limit that was exceeded, if the code stands for exactly one.
    #[must_use]
    pub fn limit(self) -> Option<&'static str> {
        match self {
            Self::Memory => Some("memory"),
            Self::CpuTime => Some("cpu_time_per_call"),
            Self::Timeout => Some("call_timeout"),
            Self::OutputTooLarge => Some("output_bytes_per_call"),
            Self::RecordTooLarge => Some("record_bytes"),
            Self::LogFlood => Some("log_bytes_per_second"),
            Self::Restarts => Some("restarts_in_a_row"),
            _ => None,
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call that failed. The guest is dead; the batch may be tried again on another copy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The kind of failure.
    pub code: FailureCode,
    /// Description of the failure, with its numbers.
    pub message: String,
    /// Call stack of the guest, innermost frame first, if the guest was running.
    pub backtrace: Option<String>,
    /// Whether the guest's worker process ended too, for any reason. Another call with the same records may
    /// then well succeed.
    pub worker_died: bool,
    /// The limit that was exceeded, if the code does not say which.
    pub breached: Option<&'static str>,
}

/// A failure that the host raises while the guest is on the stack. The call returns it as its error.
#[derive(Debug, Error)]
#[error("{message}")]
pub(super) struct HostTrap {
    pub(super) code: FailureCode,
    pub(super) message: String,
}

impl HostTrap {
    pub(super) fn error(code: FailureCode, message: impl Into<String>) -> wasmtime::Error {
        wasmtime::Error::new(Self { code, message: message.into() })
    }

    pub(super) fn malformed(broken: &impl std::fmt::Display) -> wasmtime::Error {
        Self::error(FailureCode::Malformed, broken.to_string())
    }

    pub(super) fn memory(what: &str, over: OverBudget) -> wasmtime::Error {
        let OverBudget { asked, used, cap } = over;
        Self::error(
            FailureCode::Memory,
            format!("{what} asked for {asked} more bytes, {used} of its {cap} bytes of memory are in use"),
        )
    }
}

impl Failure {
    /// A failure with a message from the host.
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), backtrace: None, worker_died: false, breached: None }
    }

    /// The limit that was exceeded, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<&'static str> {
        self.breached.or(self.code.limit())
    }

    /// Advice for the user who runs the pipeline.
    #[must_use]
    pub fn hint(&self, operator: &str) -> Option<String> {
        if self.code == FailureCode::BadRecord {
            return Some("on_error = \"skip\" or { dead_letter = \"…\" } of the source lets it go on".to_owned());
        }
        Some(match self.limit()? {
            "memory" => format!("raise memory of \"{operator}\", or have it keep less"),
            "worker_memory" => format!(
                "raise memory of \"{operator}\": the limit covers its whole worker process, \
                 also memory that its guests do not count"
            ),
            "pipeline_memory" => "lower memory or parallelism of the pipeline's operators".to_owned(),
            "tenant_memory" => "raise the tenant's memory in host.toml, or run less for it at a time".to_owned(),
            "host_memory" => {
                "leave more memory to the host: lower memory in host.toml, or raise reserve.memory".to_owned()
            }
            _ => return None,
        })
    }

    /// A failure with the guest's own message, made harmless for a terminal.
    pub(super) fn said(code: FailureCode, message: &str) -> Self {
        Self::new(code, plain_text(message))
    }

    /// Converts the error of a call in which the guest printed text.
    pub(super) fn of(error: &wasmtime::Error, printed: &Printed) -> Self {
        let (code, message) = Self::classify(error, printed);
        let message = printed.after(message, code == FailureCode::Panic);
        let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>().map(ToString::to_string);
        Self { code, message, backtrace, worker_died: false, breached: None }
    }

    fn classify(error: &wasmtime::Error, printed: &Printed) -> (FailureCode, String) {
        if let Some(HostTrap { code, message }) = error.downcast_ref() {
            return (*code, message.clone());
        }
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return (FailureCode::Exit, format!("the guest called exit({})", exit.0));
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => {
                (FailureCode::StackOverflow, "the guest's stack overflowed (512 KiB)".to_owned())
            }
            Some(Trap::UnreachableCodeReached) => match printed.panic() {
                Some(text) => (FailureCode::Panic, text),
                None => (FailureCode::Trap, Trap::UnreachableCodeReached.to_string()),
            },
            Some(trap) => (FailureCode::Trap, trap.to_string()),
            None => match os_error(error) {
                Some(refused) => (FailureCode::Fault, host_was_refused(refused)),
                // The canonical ABI refuses the values: pointers out of bounds, text that is not UTF-8, …
                None => (FailureCode::Malformed, broken_rule(error)),
            },
        }
    }
}

/// The rule that a guest broke, according to the runtime.
fn broken_rule(error: &wasmtime::Error) -> String {
    if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(ResourceTableError::Full))) {
        return format!(
            "the guest holds {MOST_HANDLES} handles on files, listings, streams and timers, and may not have more: it has \
             to drop those that it no longer needs"
        );
    }
    error.root_cause().to_string()
}

/// The operating system's error, if the system refused a request of the host while it created or called a
/// guest.
pub(super) fn os_error(error: &wasmtime::Error) -> Option<Errno> {
    error.chain().find_map(|cause| {
        let system = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        system.map(Errno::from_raw_os_error).or_else(|| cause.downcast_ref::<Errno>().copied())
    })
}

fn host_was_refused(refused: Errno) -> String {
    let words = std::io::Error::from(refused);
    match limit_behind(refused) {
        Some(OwnLimit { what, .. }) => {
            format!("the host has run out of a resource that it needs to run the guest: {words}: {what}")
        }
        None => format!("the system refused the host a resource that it needs to run the guest: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_text_on_stderr() {
        let error = wasmtime::Error::from(Trap::UnreachableCodeReached);
        let stderr = "\nthread '<unnamed>' panicked at src/lib.rs:3:5:\nno such thing\n\
                      note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        let failure = Failure::of(&error, &Printed::on_stderr(stderr));
        assert_eq!(failure.code, FailureCode::Panic);
        assert_eq!(failure.message, "panicked at src/lib.rs:3:5:\nno such thing");
        assert_eq!(Failure::of(&error, &Printed::default()).code, FailureCode::Trap);
    }

    #[test]
    fn codes_are_unique() {
        let mut names: Vec<_> = FailureCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FailureCode::ALL.len());
    }
}
