//! x
extern crate self as sage_guest;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod component;
mod context;
mod emitter;
mod error;
mod host;
pub mod log;
pub mod metrics;
pub mod operator;
mod payload;
mod record;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod types;

pub use context::Context;
pub use emitter::{Emission, Emitter};
pub use error::Error;
pub use operator::Progress;
pub use payload::{FromPayload, IntoPayload, Json};
pub use record::{FromRecord, Record};
pub use sage_guest_macros::{filter, flat_map, key_by, map, process, sink, source};

/// What the macros' expansions name; not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings;
    pub use crate::types::{Batch, Column};

    /// A source's answer in the contract's shape.
    #[cfg(target_arch = "wasm32")]
    pub fn progress(progress: crate::Progress) -> bindings::source::exports::sage::operator::reader::Progress {
        use bindings::source::exports::sage::operator::reader::Progress;
        match progress {
            crate::Progress::More => Progress::More,
            // The host waits a second at most, so what does not fit is a second too.
            crate::Progress::Idle(wait) => Progress::Idle(wait.as_millis().try_into().unwrap_or(1000)),
            crate::Progress::End => Progress::End,
        }
    }

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
