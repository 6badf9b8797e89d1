//! The server with the real program: from an empty machine to a job's output, kills of the server and of jobs, a full
//! disk, corrupt files, and bad requests on every route.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod audited;
mod bad_input;
mod chaos;
mod confined;
mod dashboard;
mod files;
mod grafana;
mod http;
mod killed;
mod openapi;
mod over_tcp;
mod prometheus;
mod queue;
mod quotas;
mod revisions;
mod routes;
mod scrape;
mod serving;
mod sessions;
mod signatures;
mod tenants;
mod tokens;
mod whole_way;
