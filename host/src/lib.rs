//! sage-host runs streaming pipelines whose operators are WebAssembly components, and gives each parallel
//! instance of each operator the resources it was given, enforced.
//!
//! The rooms, low to high; a room uses only rooms before it:
//!
//! | room | one idea |
//! |---|---|
//! | [`observe`] | logs, metrics, the run summary, progress |
//! | [`batch`] | record columns, validated, and the bounded inboxes they wait in |
//! | [`config`] | raw shapes of the pipeline file and host.toml |
//! | [`resources`] | what this machine has; CPU leases, pinning, budgets, the ledger of what is enforced how |
//! | [`plan`] | config to a validated graph |
//! | [`inference`] | models that guests may run, on devices that their instances hold leases on |
//! | [`sandbox`] | the only room that names wasmtime |
//! | [`connector`] | built-in sources and sinks |
//! | [`admission`] | plan + inventory to grant or refusal |
//! | [`engine`] | lanes, partitioning, retries, drain |
//! | [`worker`] | processes of their own: an instance's guests, one compilation, and what either may do |
//! | [`cli`] | arguments to calls, errors to words and exit codes |

pub mod admission;
pub mod batch;
pub mod cli;
pub mod config;
pub mod connector;
pub mod engine;
pub mod inference;
pub mod observe;
pub mod plan;
pub mod resources;
pub mod sandbox;
pub mod worker;
