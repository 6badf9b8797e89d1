use super::{Counter, ErrorCounts, Latency};

/// What one instance has had devices do.
#[derive(Debug)]
pub struct InferenceCounters {
    /// The devices that serve it, by name.
    pub devices: Vec<String>,
    /// Calls, those that failed too.
    pub calls: Counter,
    /// Rows of these; 1 a call where a model does not take rows.
    pub rows: Counter,
    /// Bytes of tensors that went in.
    pub bytes_in: Counter,
    /// Bytes of tensors that came back.
    pub bytes_out: Counter,
    /// Nanoseconds that calls waited for a device: each until its first rows ran.
    pub wait_nanoseconds: Counter,
    /// Nanoseconds of device time; of a run with others, by rows.
    pub device_nanoseconds: Counter,
    /// CPU nanoseconds that this took on the devices' threads, likewise; not in the instance's own CPU time.
    pub cpu_nanoseconds: Counter,
    /// Nanoseconds that it waited for its lease: since its pipeline first asked to be admitted.
    pub lease_wait_nanoseconds: Counter,
    /// Calls that failed, by code.
    pub errors: ErrorCounts,
}

/// What a device has done with one model.
#[derive(Debug, Default)]
pub struct ModelCounters {
    /// Calls that were answered, or failed, in runs; a call that was cut counts as several.
    pub calls: Counter,
    /// Their rows.
    pub rows: Counter,
    /// Runs: calls that ran together are one.
    pub runs: Counter,
    /// Runs that failed, by code.
    pub errors: ErrorCounts,
    /// Bytes of tensors that went in.
    pub bytes_in: Counter,
    /// Bytes of tensors that came out.
    pub bytes_out: Counter,
    /// Nanoseconds that calls waited: each until its first rows ran.
    pub wait_nanoseconds: Counter,
    /// Nanoseconds of runs.
    pub run_nanoseconds: Counter,
    /// CPU nanoseconds of runs.
    pub cpu_nanoseconds: Counter,
    /// How long calls waited, each counted once.
    pub wait: Latency,
    /// How long runs took.
    pub run: Latency,
}

impl InferenceCounters {
    /// Of an instance that these devices serve.
    #[must_use]
    pub fn new(devices: Vec<String>) -> Self {
        Self {
            devices,
            calls: Counter::default(),
            rows: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            wait_nanoseconds: Counter::default(),
            device_nanoseconds: Counter::default(),
            cpu_nanoseconds: Counter::default(),
            lease_wait_nanoseconds: Counter::default(),
            errors: ErrorCounts::default(),
        }
    }
}
