//! The host's side of the boundary, as functions.
//!
//! In a component they are the imports of `wit/imports.wit` and `wit/inference.wit`. Natively they are a recorder in memory, one a thread, so
//! that the same code runs, and can be looked at, under `cargo test`; [`testing`](crate::testing) is built on it.
//! Nothing else in this crate knows which of the two it runs on.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{
    counter, emit, failures, gauge, histogram, inference, keep, keys, log, payloads, rows, state,
};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{
    Recorder, counter, emit, enter, failures, gauge, histogram, inference, keep, keys, log, payloads, rows, state,
};

use crate::types::Column;

/// Answers for many keys at once: which of them have a value, and the values.
pub(crate) struct Values {
    /// Bit `i % 8` of byte `i / 8`: key `i` has a value.
    pub(crate) present: Vec<u8>,
    pub(crate) values: Column,
}

impl Values {
    /// The value of key `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let byte = self.present.get(index / 8).copied().unwrap_or_default();
        if byte & (1 << (index % 8)) == 0 {
            return None;
        }
        self.values.get(index)
    }
}

/// A page of a scan.
pub(crate) struct Entries {
    pub(crate) subkeys: Column,
    pub(crate) values: Column,
}
