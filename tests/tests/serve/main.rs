//! The server with the real program: from an empty machine to a job's output, kills of the server and of jobs, a full
//! disk, corrupt files, and bad requests on every route.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod audited;
mod bad_input;
mod bombs;
mod chaos;
mod confined;
mod dashboard;
mod fail_points;
mod files;
mod grafana;
mod http;
mod kept;
mod killed;
mod openapi;
mod over_tcp;
mod prometheus;
mod queue;
mod quotas;
mod revisions;
mod routes;
mod savepoints;
mod scrape;
mod secrets;
mod service;
mod serving;
mod sessions;
mod signatures;
mod tenants;
mod tls;
mod tokens;
mod users;
mod whole_way;
