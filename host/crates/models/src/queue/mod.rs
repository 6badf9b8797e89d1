//! The queue in front of a device. The queue decides the order of calls and which calls run together.
//!
//! ```text
//!  lanes ─ DeviceQueue::run ─▶ Scheduler ─▶ a thread per slot: join rows ─▶ Runner ─▶ split rows ─▶ results
//!                               │                       └ Turns: among the runs that share the device
//!                               └ by lease, fair by share
//! ```
//!
//! Invariants:
//!
//! - The scheduler is pure, and gets the time from its caller.
//! - A call is not started after its caller has left.
//! - Every call is answered once, with its own rows in their order, also if it ran in a batch.
//! - Every queue has a bound.

mod batching;
mod call;
mod device_cpus;
mod device_queue;
mod dispatcher;
mod failed_run;
mod lease_table;
mod rows;
mod running;
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
