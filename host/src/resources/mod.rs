//! What this machine has, what is held of it, and how each promise is kept.

mod cpu_clock;
mod memory_budget;

pub use cpu_clock::thread_cpu_time;
pub use memory_budget::{MemoryBudget, OverBudget};
