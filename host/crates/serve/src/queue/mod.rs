//! The order in which waiting jobs are started: weighted fair between tenants, first in first out within each.
//!
//! The queue never claims anything and knows no resources: a job's own process asks for admission. A job that found no
//! room waits again, with the reason, and keeps its place.
//!
//! Who wakes whom: [`FairQueue::choose`] is called when a job has ended, when one was added, and each second. So a lost
//! wake-up costs a second, and nobody waits for an event that never comes. While jobs find no room, one of them tries
//! after 1 s, 2 s, 4 s, up to 16 s, and all of them may try after an end.
//!
//! No starvation: others may pass a job without room 16 times; then they wait for it. That ends, because what can never
//! fit is refused instead of queued.

mod fair_queue;
#[cfg(test)]
mod tests;

pub use fair_queue::{Blocked, FairQueue};
