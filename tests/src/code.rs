/// A failure code: the name of a kind of failure in dead letters, summaries and metrics. Users match on
/// codes, so they are stable.
pub type Code = &'static str;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Every code as a constant.
        #[allow(non_upper_case_globals, reason = "they read as the words they are")]
        impl Codes { $($(#[$doc])* pub const $name: Code = $text;)* }
        /// All codes.
        pub const ALL: &[Code] = &[$($text),*];
    };
}

/// Namespace of the codes.
#[derive(Debug)]
pub struct Codes;

codes! {
    /// The guest trapped: unreachable code, memory out of bounds, a bad pointer at the boundary.
    TRAP = "trap";
    /// The guest panicked; the message is that of the panic.
    PANIC = "panic";
    /// The instance needed more than its `memory`.
    MEMORY = "memory";
    /// The call used up `cpu_time_per_call`.
    CPU_TIME = "cpu-time";
    /// The call took longer than `call_timeout`.
    TIMEOUT = "timeout";
    /// The answer breaks a rule of the contract.
    MALFORMED = "malformed";
    /// The call sent more than `output_bytes_per_call`.
    OUTPUT_TOO_LARGE = "output-too-large";
    /// A record is larger than `record_bytes`.
    RECORD_TOO_LARGE = "record-too-large";
    /// The call logged 16 times its limit.
    LOG_FLOOD = "log-flood";
    /// The operator rejected the record.
    REJECTED = "rejected";
    /// The guest used up its call stack.
    STACK_OVERFLOW = "stack-overflow";
    /// `open` failed.
    OPEN = "open";
    /// The guest was restarted too many times in a row.
    RESTARTS = "restarts";
    /// The worker process died.
    WORKER = "worker";
    /// A built-in source could not read a record, and continued.
    BAD_RECORD = "bad-record";
    /// A built-in source could not read a file to its end, and continued.
    BAD_FILE = "bad-file";
    /// The guest called WASI `exit`.
    EXIT = "exit";
    /// A source or sink (built-in or a component) returned an error.
    CONNECTOR = "connector";
    /// A limit of a strict run is no longer hard.
    LIMIT_LOST = "limit-lost";
    /// An error in the host itself.
    FAULT = "fault";
}
