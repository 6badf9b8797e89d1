use super::{Counter, ErrorCounts, Latency};

/// The use of devices by one instance.
#[derive(Debug)]
pub struct InferenceCounters {
    /// Names of the devices that serve the instance.
    pub devices: Vec<String>,
    /// Calls, including failed ones.
    pub calls: Counter,
    /// Rows of these calls; 1 for each call if a model does not take rows.
    pub rows: Counter,
    /// Bytes of tensors that went in.
    pub bytes_in: Counter,
    /// Bytes of tensors that came back.
    pub bytes_out: Counter,
    /// Nanoseconds that calls waited for a device, each until its first rows ran.
    pub wait_nanoseconds: Counter,
    /// Nanoseconds of device time. The time of a run that is shared with other callers is divided by rows.
    pub device_nanoseconds: Counter,
    /// CPU nanoseconds of these calls on the devices' threads, divided in the same way. They are not part of
    /// the instance's own CPU time.
    pub cpu_nanoseconds: Counter,
    /// Nanoseconds that the instance waited for its lease, since its pipeline first asked to be admitted.
    pub lease_wait_nanoseconds: Counter,
    /// Calls that failed, by code.
    pub errors: ErrorCounts,
}

/// The work of a device with one model.
#[derive(Debug, Default)]
pub struct ModelCounters {
    /// Calls that succeeded or failed in runs. A call that was split counts as several.
    pub calls: Counter,
    /// Rows of these calls.
    pub rows: Counter,
    /// Runs. Calls that ran together count as one run.
    pub runs: Counter,
    /// Runs that failed, by code.
    pub errors: ErrorCounts,
    /// Bytes of tensors that went in.
    pub bytes_in: Counter,
    /// Bytes of tensors that came out.
    pub bytes_out: Counter,
    /// Nanoseconds that calls waited, each until its first rows ran.
    pub wait_nanoseconds: Counter,
    /// Nanoseconds of runs.
    pub run_nanoseconds: Counter,
    /// CPU nanoseconds of runs.
    pub cpu_nanoseconds: Counter,
    /// Waiting times of calls, each call counted once.
    pub wait: Latency,
    /// Durations of runs.
    pub run: Latency,
}

impl InferenceCounters {
    /// Counters of an instance that these devices serve.
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
