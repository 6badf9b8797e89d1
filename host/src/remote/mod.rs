//! The server on the command line, and the commands that talk to it. Each command has a file.
//!
//! A command is a client of the HTTP API of `sage-serve`, on a unix socket or over TCP. It prints what the server says,
//! in the words and with the exit codes of the commands that need no server.

mod access_args;
mod args;
mod audit;
mod component_args;
mod components;
mod connection;
mod context;
mod contexts;
mod ended;
mod events;
mod explain;
mod folder_variable;
mod job_table;
mod logs;
mod perform;
mod place;
mod ps;
mod revision_args;
mod revisions;
mod rollout;
mod savepoint;
mod secret;
mod secret_args;
mod serve;
mod server_args;
mod service_manager;
mod stop;
mod submit;
mod tenant;
mod token;
mod top;
mod uploads;
mod verbs;
mod wait_for;

pub(super) use args::RemoteCommand;
pub(super) use perform::perform;
