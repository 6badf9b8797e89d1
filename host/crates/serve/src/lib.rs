//! The server of sage-host.
//!
//! | module | one idea |
//! |---|---|
//! | `state` | the states of a job, as a pure function |
//! | `queue` | whose turn it is |
//! | `store` | the state folder |
//! | `process` | processes of jobs: start, death, questions |
//! | `access` | who may do what: roles, tokens, sessions, rates |
//! | `live` | what jobs do now |
//! | `metrics` | the text for Prometheus |
//! | `server` | the one thread that owns all jobs |
//! | `tls` | encryption of connections: certificates, and what a client trusts |
//! | `api` | HTTP |

pub mod access;
pub mod api;
pub mod live;
pub mod metrics;
pub mod process;
pub mod queue;
pub mod server;
pub mod state;
pub mod store;
pub mod tls;
