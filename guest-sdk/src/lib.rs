//! Write operators for sage-host: plain Rust functions and structs with an attribute that names their kind.
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
//! Built as a `cdylib` for `wasm32-wasip2`, the crate is a component that the host runs. Built natively, it
//! still contains the function `celsius`, for `cargo test`. A crate is one operator.
//!
//! | kind | function | struct method |
//! |---|---|---|
//! | [`map`] | `fn(In) -> Out`, `fn(&mut [u8])` | `map(&mut self, In) -> Out`, `map(&mut self, &mut [u8])` |
//! | [`filter`] | `fn(In) -> bool` | `filter(&mut self, In) -> bool` |
//! | [`flat_map`] | `fn(In) -> impl Iterator<Item = Out>` | `flat_map(&mut self, In) -> ..` |
//! | [`key_by`] | `fn(In) -> Key` | `key_by(&mut self, In) -> Key` |
//! | [`process`] | `fn(Record<In>, &mut Emitter)` | `process(&mut self, Record<In>, &mut Emitter)` or `process_batch(&mut self, Records<In>)`, `end` |
//! | [`window`] | | `add(&mut self, &mut Sum, In)`, `merge(&mut self, &mut Sum, Sum)`, `finish(&mut self, &Window, Sum, &mut Emitter)` |
//! | [`source`] | | `next(&mut self, &mut Emitter) -> Progress`, `position`, `seek` |
//! | [`sink`] | `fn(Record<In>)` | `write(&mut self, Record<In>)`, `flush` |
//!
//! A `process` or `source` by field has a [`Port`] for each output instead of the [`Emitter`], and a `process_batch` by
//! field takes a [`Batch`].
//!
//! Every return value may be a `Result<_, E>` with any error that implements `Display`. An error rejects only
//! the current record, with the error's message, and the operator continues with the next record. Functions may
//! take `&Config` as their last parameter. A struct has `open(&Context)` and `close(self)`.
//!
//! - Payloads: [`FromPayload`], [`IntoPayload`], [`Json`]. Numbers are text.
//! - Records by field: [`fields`]. An operator whose `In` is a struct with `#[derive(Record)]` receives its fields as
//!   the host has read them, and parses nothing.
//! - State: [`state`]. Guest memory is a cache, never the truth: after a trap the operator starts again at
//!   `open`.
//! - Models that the host runs, on a device: [`inference`].
//! - The description of the operator, by which the host checks `config` before the run: [`description`].
//! - The input from which records come: [`edge`]. Keys of several parts: [`key`].
//! - [`log`] and [`metrics`].
//! - Tests of behaviour that shows only at the boundary to the host: [`testing`].
//!
//! The name of the type of `In` decides between the two: `In` is a payload if it is a reference, `String`, `Vec`,
//! `Json`, a number, `bool` or another type of the standard library, and a record otherwise. For a type of your own
//! that implements `FromPayload`, write `#[sage_guest::map(payload)]`.
//!
//! Cost beside your function: each record passes through a loop over a column, without an allocation and
//! without a call to the host. Each batch costs a few calls to the host. A map that returns borrowed bytes, or
//! that changes its records in place, needs no memory beside the batch.

extern crate self as sage_guest;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
mod attributes;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod bytes;
mod component;
mod context;
pub mod description;
mod edge;
mod emitter;
mod error;
pub mod fields;
mod host;
pub mod inference;
pub mod key;
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
mod window;

pub use context::Context;
pub use description::Describe;
pub use edge::edge;
pub use emitter::{Emission, Emitter};
pub use error::Error;
pub use fields::{Batch, Port, PortEmission};
pub use operator::Progress;
pub use payload::{FromPayload, IntoPayload, Json};
pub use record::{FromRecord, Record};
pub use records::Records;
pub use sage_guest_macros::{Describe, Record, filter, flat_map, key_by, map, process, sink, source, window};
pub use window::Window;

/// Items that the expansions of the macros name; not part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings;
    pub use crate::fields::{FieldBatch, Table};
    pub use crate::types::{Batch, Closing, Column};

    use crate::description::{Describe, Object, Schema};

    /// The configuration of an operator that reads none: an empty table.
    pub const NO_CONFIG: &Schema = &Schema::Object(&Object { docs: "", fields: &[], closed: true });

    /// The shape of a described type. This inherent constant hides the constant of [`Undescribed`].
    pub struct Probe<T>(std::marker::PhantomData<T>);

    /// The shape of a type that is not described.
    pub trait Undescribed {
        /// Any value.
        const SCHEMA: &'static Schema = &Schema::Any;
    }

    impl<T> Undescribed for Probe<T> {}

    impl<T: Describe> Probe<T> {
        /// The shape of the type.
        pub const SCHEMA: &'static Schema = T::SCHEMA;
    }

    /// Converts the progress of a source to the type of an interface of the contract.
    #[cfg(target_arch = "wasm32")]
    macro_rules! progress {
        ($function:ident, $world:ident, $interface:ident) => {
            /// Converts the progress of a source to the type of the contract.
            pub fn $function(
                progress: crate::Progress,
            ) -> bindings::$world::exports::sage::operator::$interface::Progress {
                use bindings::$world::exports::sage::operator::$interface::Progress;
                match progress {
                    crate::Progress::More => Progress::More,
                    // The host waits at most a second, so a longer wait that does not fit `u32` becomes a second.
                    crate::Progress::Idle(wait) => Progress::Idle(wait.as_millis().try_into().unwrap_or(1000)),
                    crate::Progress::End => Progress::End,
                }
            }
        };
    }

    #[cfg(target_arch = "wasm32")]
    progress!(progress, source, reader);
    #[cfg(target_arch = "wasm32")]
    progress!(fields_progress, fields_source, fields_reader);

    /// The result of a filter.
    #[diagnostic::on_unimplemented(
        message = "a `filter` must answer with `bool`, not `{Self}`",
        label = "not a `bool`",
        note = "write `-> bool`, or `-> Result<bool, Error>` to be able to reject a record"
    )]
    pub trait Verdict {
        /// Returns whether the record stays.
        fn keep(self) -> bool;
    }

    /// The result of a flat-map: any iterator.
    #[diagnostic::on_unimplemented(
        message = "a `flat_map` gives any number of records, and `{Self}` is not an iterator",
        label = "not an iterator",
        note = "write `-> impl Iterator<Item = Out>`, `-> Vec<Out>`, `-> Option<Out>`, or one of these in a \
            `Result<_, Error>`"
    )]
    pub trait Records {
        /// The type of an output record.
        type Record;
        /// Returns the records in order.
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

    /// The initial value of a struct without `open`.
    #[diagnostic::on_unimplemented(
        message = "cannot create `{Self}` when the operator opens",
        label = "neither `open` nor `Default`",
        note = "write `fn open(context: &Context) -> Result<Self, Error>` in this block, or derive `Default`"
    )]
    pub trait Begin {
        /// Returns the operator in its initial state.
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
