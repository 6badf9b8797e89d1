/// A failure code: what dead letters, summaries and metrics call a kind of failure. Users match on them, so they are stable.
pub type Code = &'static str;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The codes, one by one.
        #[allow(non_upper_case_globals, reason = "they read as the words they are")]
        impl Codes { $($(#[$doc])* pub const $name: Code = $text;)* }
        /// Every code there is.
        pub const ALL: &[Code] = &[$($text),*];
    };
}

/// Where the codes live.
#[derive(Debug)]
pub struct Codes;

codes! {
    /// The guest trapped: unreachable code, memory out of bounds, a bad pointer at the boundary.
    TRAP = "trap";
    /// The guest panicked; the message is the panic's.
    PANIC = "panic";
    /// The instance would have gone over its `memory`.
    MEMORY = "memory";
    /// The call used up `cpu_time_per_call`.
    CPU_TIME = "cpu-time";
    /// The call took longer than `call_timeout`.
    TIMEOUT = "timeout";
    /// The answer breaks a rule of the contract.
    MALFORMED = "malformed";
    /// The call sent more than `output_bytes_per_call`.
    OUTPUT_TOO_LARGE = "output-too-large";
    /// One record is larger than `record_bytes`.
    RECORD_TOO_LARGE = "record-too-large";
    /// The call logged 16 times its limit.
    LOG_FLOOD = "log-flood";
    /// The operator rejected the record.
    REJECTED = "rejected";
    /// The guest's call stack is used up.
    STACK_OVERFLOW = "stack-overflow";
    /// `open` failed.
    OPEN = "open";
    /// Too many restarts in a row.
    RESTARTS = "restarts";
    /// The worker process died.
    WORKER = "worker";
    /// A built-in source could not read a record, and went on.
    BAD_RECORD = "bad-record";
    /// A built-in source could not read a file to its end, and went on.
    BAD_FILE = "bad-file";
    /// The guest left through WASI `exit`.
    EXIT = "exit";
    /// A source or sink (built-in or a component) answered with an error.
    CONNECTOR = "connector";
    /// A limit of a strict run ceased to be hard.
    LIMIT_LOST = "limit-lost";
    /// The host itself is at fault.
    FAULT = "fault";
}
