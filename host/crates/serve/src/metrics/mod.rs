//! The metrics of the server and of all its jobs, as one text for Prometheus.
//!
//! Flow: the text of each job is read line by line ([`Reading`]), and its samples go into the families of one
//! [`Exposition`], with the labels `tenant` and `job` of the server. The server adds families of its own.
//!
//! Invariants:
//!
//! - A job is not trusted. A line that is not a sample of a family of runs is dropped and counted. The labels `tenant` and
//!   `job` are the server's, whatever a job says. A name has one type in the whole text.
//! - The number of series is bounded: samples of a job, jobs with series of their own, and bytes of the text.
//! - Nothing here waits or knows HTTP.

mod api_counts;
mod exposition;
mod family;
mod reading;
mod sample;
mod tenant_sums;
mod waits;

pub use api_counts::ApiCounts;
pub use exposition::{Exposition, Format};
pub use family::Kind;
pub use reading::Reading;
pub use sample::{Labels, Sample};
pub use tenant_sums::TenantSums;
pub use waits::Waits;
