//! The queue in front of a device: who runs next, and together with whom.
//!
//! ```text
//!  lanes ─ DeviceQueue::run ─▶ Scheduler (by lease, fair by share) ─▶ a thread per slot: join rows ─▶ Runner ─▶ split rows ─▶ each its answer
//!                                                                       └ Turns: among the runs that share the device
//! ```
//!
//! Invariants: the scheduler is pure, time is passed in; a call that nobody waits for any more is not begun; every call is answered once,
//! with its own rows in their order, whoever it ran with; nothing is queued without a bound.

mod batching;
mod call;
mod device_cpus;
mod device_queue;
mod dispatcher;
mod failed_run;
mod lease_table;
mod rows;
mod scheduler;
mod shared;
mod turns;
mod watched_leases;
mod work;

#[cfg(test)]
mod charge_tests;
#[cfg(test)]
mod device_queue_tests;
#[cfg(test)]
mod doubling_runner;
#[cfg(test)]
mod fairness_tests;
#[cfg(test)]
mod live_charge_tests;
#[cfg(test)]
mod scatter_tests;
#[cfg(test)]
mod shared_device_tests;
#[cfg(test)]
mod turns_tests;

pub use batching::Batching;
pub use device_cpus::DeviceCpus;
pub use device_queue::DeviceQueue;
pub use turns::Turns;
