//! x
extern crate self as sage_guest;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod component;
mod context;
mod error;
mod host;
pub mod log;
pub mod metrics;
pub mod operator;
mod payload;
mod types;

pub use context::Context;
pub use error::Error;
pub use payload::{FromPayload, IntoPayload, Json};
pub use sage_guest_macros::{filter, flat_map, key_by, map};

/// What the macros' expansions name; not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings;
    pub use crate::types::Column;

    /// What a filter may answer with.
    #[diagnostic::on_unimplemented(
        message = "a `filter` must answer with `bool`, not `{Self}`",
        label = "not a `bool`",
        note = "write `-> bool`, or `-> Result<bool, Error>` to be able to reject a record"
    )]
    pub trait Verdict {
        /// Whether the record stays.
        fn keep(self) -> bool;
    }

    impl Verdict for bool {
        #[inline]
        fn keep(self) -> bool {
            self
        }
    }
}
