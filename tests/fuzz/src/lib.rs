//! The modules of sage-host that read untrusted bytes, and nothing else of it. They do no I/O and use only
//! each other, so they compile alone, in seconds and with coverage everywhere.

#![allow(dead_code, reason = "used only by other modules of the host")]

#[path = "../../../host/src/batch/mod.rs"]
pub mod batch;
#[path = "../../../host/src/config/mod.rs"]
pub mod config;
#[path = "../../../host/src/plan/mod.rs"]
pub mod plan;
