//! Backends: each of them does the same with the same models, and what a model cannot do is an error that says so.
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
