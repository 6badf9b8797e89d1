//! Backends: all of them give the same results for the same models, and an unsupported model is an error with
//! a reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod agree;
mod backends;
mod conformance;
#[cfg(feature = "tract")]
mod examined;
#[cfg(feature = "tract")]
mod inspected;
#[cfg(feature = "onnxruntime")]
mod library;
#[cfg(feature = "tract")]
mod node_tests;
#[cfg(feature = "tract")]
mod refused;
#[cfg(feature = "tract")]
mod zoo;
