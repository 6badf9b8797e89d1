//! Write operators for sage-host: plain Rust functions and structs under an attribute that says their kind.
//!
//! ```
//! use sage_guest::{Error, Json};
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Reading { sensor: String, value: f64 }
//!
//! #[sage_guest::map]
//! fn celsius(Json(mut reading): Json<Reading>) -> Result<Json<Reading>, Error> {
//!     reading.value = (reading.value - 32.0) / 1.8;
//!     Ok(Json(reading))
//! }
//! ```
//!
//! As a `cdylib` for `wasm32-wasip2` that is a component that the host runs; natively it is still the function `celsius`, for
//! `cargo test`. A crate is one operator.
//!
//! | kind | function | struct method |
//! |---|---|---|
//! | [`map`] | `fn(In) -> Out`, `fn(&mut [u8])` | `map(&mut self, In) -> Out`, `map(&mut self, &mut [u8])` |
//! | [`filter`] | `fn(In) -> bool` | `filter(&mut self, In) -> bool` |
//! | [`flat_map`] | `fn(In) -> impl Iterator<Item = Out>` | `flat_map(&mut self, In) -> ..` |
//! | [`key_by`] | `fn(In) -> Key` | `key_by(&mut self, In) -> Key` |
//! | [`process`] | `fn(Record<In>, &mut Emitter)` | `process(&mut self, Record<In>, &mut Emitter)` or `process_batch(&mut self, Records<In>)`, `end` |
//! | [`source`] | | `next(&mut self, &mut Emitter) -> Progress`, `position`, `seek` |
//! | [`sink`] | `fn(Record<In>)` | `write(&mut self, Record<In>)`, `flush` |
//!
//! Every return may be a `Result<_, E>` with any error that can be displayed: it rejects that one record, with its
//! message, and the others go on. Functions may take `&Config` as their last parameter; a struct has `open(&Context)` and
//! `close(self)`.
//!
//! - Payloads: [`FromPayload`], [`IntoPayload`], [`Json`]. Numbers are text.
//! - State: [`state`]. Guest memory is a cache, never the truth: after a trap the operator starts again at `open`.
//! - Models that the host runs, on a device: [`inference`].
//! - What the host checks before the run, `config` above all: [`description`].
//! - [`log`], [`metrics`], and [`testing`] for what only shows at the boundary.
//!
//! What it costs, on top of your function: a record goes through a loop over a column, without an allocation and without a
//! call to the host; the host is called a few times a batch. A map whose answers are borrowed, or that changes its records in place, needs no
//! memory beside the batch's.

extern crate self as sage_guest;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod bytes;
mod component;
mod context;
pub mod description;
mod emitter;
mod error;
mod host;
pub mod inference;
pub mod log;
pub mod metrics;
pub mod operator;
mod payload;
mod record;
mod records;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod types;

pub use context::Context;
pub use description::Describe;
pub use emitter::{Emission, Emitter};
pub use error::Error;
pub use operator::Progress;
pub use payload::{FromPayload, IntoPayload, Json};
pub use record::{FromRecord, Record};
pub use records::Records;
pub use sage_guest_macros::{Describe, filter, flat_map, key_by, map, process, sink, source};

/// What the macros' expansions name; not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings;
    pub use crate::types::{Batch, Column};

    use crate::description::{Describe, Object, Schema};

    /// What an operator that reads no configuration may be given: nothing.
    pub const NO_CONFIG: &Schema = &Schema::Object(&Object { docs: "", fields: &[], closed: true });

    /// The shape of a type that may be described: its own constant hides the one of [`Undescribed`].
    pub struct Probe<T>(std::marker::PhantomData<T>);

    /// The shape of a type that is not.
    pub trait Undescribed {
        /// Any.
        const SCHEMA: &'static Schema = &Schema::Any;
    }

    impl<T> Undescribed for Probe<T> {}

    impl<T: Describe> Probe<T> {
        /// The type's.
        pub const SCHEMA: &'static Schema = T::SCHEMA;
    }

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

    /// What a flat-map may answer with: anything that can be iterated over.
    #[diagnostic::on_unimplemented(
        message = "a `flat_map` gives any number of records, and `{Self}` is not an iterator",
        label = "not an iterator",
        note = "write `-> impl Iterator<Item = Out>`, `-> Vec<Out>`, `-> Option<Out>`, or one of these in a `Result<_, Error>`"
    )]
    pub trait Records {
        /// What comes out.
        type Record;
        /// The records in order.
        fn records(self) -> impl Iterator<Item = Self::Record>;
    }

    #[diagnostic::do_not_recommend]
    impl<I: IntoIterator> Records for I {
        type Record = I::Item;

        #[inline]
        fn records(self) -> impl Iterator<Item = Self::Record> {
            self.into_iter()
        }
    }

    /// What a struct without `open` begins as.
    #[diagnostic::on_unimplemented(
        message = "nothing says how `{Self}` begins",
        label = "neither `open` nor `Default`",
        note = "write `fn open(context: &Context) -> Result<Self, Error>` in this block, or derive `Default`"
    )]
    pub trait Begin {
        /// The operator as it begins.
        fn begin() -> Self;
    }

    #[diagnostic::do_not_recommend]
    impl<T: Default> Begin for T {
        fn begin() -> Self {
            Self::default()
        }
    }

    impl Verdict for bool {
        #[inline]
        fn keep(self) -> bool {
            self
        }
    }
}
