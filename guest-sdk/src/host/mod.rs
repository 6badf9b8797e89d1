//! The host's side of the boundary, as functions.
//!
//! In a component, the functions are the imports of `wit/imports.wit` and `wit/inference.wit`. Natively, they
//! belong to a recorder in memory, one for each thread, so that `cargo test` can run the same code and inspect
//! the result. [`testing`](crate::testing) is built on the recorder. No other part of this crate knows on which
//! of the two it runs.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{
    accumulators, columns, counter, edge, emit, failures, field_emit, field_rows, gauge, histogram, inference, keep,
    keys, log, payloads, rows, state,
};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{
    Recorder, accumulators, columns, counter, edge, emit, enter, failures, field_emit, field_rows, gauge, histogram,
    inference, keep, keys, log, payloads, rows, state,
};

use crate::types::Column;

/// Values of many keys at once.
pub(crate) struct Values {
    /// A bitmap: bit `i % 8` of byte `i / 8` is set if key `i` has a value.
    pub(crate) present: Vec<u8>,
    pub(crate) values: Column,
}

impl Values {
    /// Returns the value of key `index`.
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
