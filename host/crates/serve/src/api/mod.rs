//! The HTTP API: the only module that knows HTTP, and the only one with an async runtime.
//!
//! Flow: `listener` makes the unix socket, `connections` bounds and answers connections, `routes` lists the routes.
//! A handler parses its request whole, sends it to the server's thread as a piece of mail, and turns the answer, or the
//! [`Problem`], into a response.
//!
//! Bounds: connections, bytes and time of heads and bodies, and followers are bounded, and nothing waits for a slow
//! reader. A reader of a stream that falls behind what is kept gets a `gap`.
//!
//! Who may ask: on the unix socket, root and the user of the server, by the credentials that the kernel has for the
//! peer; over TCP, whoever has a token or the session that a token opened. `authorise` finds the
//! [`Principal`](crate::access::Principal), and the table in `routes` says which role each route asks for.

mod audit_routes;
mod authorise;
mod bounds;
mod call_job;
mod client;
mod connections;
mod context;
mod dashboard;
mod device_look;
mod device_routes;
mod dry_run;
mod files_routes;
mod follow;
mod in_job;
mod job_request;
mod job_routes;
mod listener;
mod live_jobs;
mod live_look;
mod live_routes;
mod objected;
mod openapi;
mod problem;
mod query;
mod revision_diff;
mod revision_request;
mod revision_routes;
mod routes;
mod scrape;
mod secret_routes;
mod server_url;
mod serving;
mod session_routes;
mod stream_routes;
mod tcp_listener;
mod tenant_routes;
mod tls_listener;
mod token_routes;

pub use client::{Answer, Client, ClientError, ServerPlace};
pub use job_request::JobRequest;
pub use listener::ListenError;
pub use problem::Problem;
pub use revision_diff::{DiffFile, DiffLine, RevisionDiff};
pub use revision_request::{RevisionRequest, RollbackRequest};
pub use routes::{Route, route_list};
pub use server_url::ServerUrl;
pub use serving::{ApiServer, Listening};
pub use token_routes::TokenRequest;
