//! The rates of jobs between two looks at their counters.
//!
//! A look is an answer of the job's process. Two looks of one attempt give rates; [`History`] keeps the last minutes of
//! a job that someone watches. Nothing here waits or knows HTTP.

mod history;
mod look;
mod stage_rates;

pub use history::History;
pub use look::Look;
pub use stage_rates::StageRates;
