//! Records by field: the host reads the fields that an operator names, and passes them as columns of typed values.
//!
//! `#[derive(sage_guest::Record)]` on a struct with named fields makes a *record*. An operator whose parameter is a
//! record receives no payloads and parses nothing:
//!
//! ```
//! use sage_guest::{Error, Record};
//!
//! #[derive(Record)]
//! struct Reading<'a> { sensor: &'a str, fahrenheit: f64 }
//!
//! #[derive(Record)]
//! struct Celsius<'a> { sensor: &'a str, celsius: f64 }
//!
//! #[sage_guest::map]
//! fn celsius(reading: Reading) -> Result<Celsius, Error> {
//!     Ok(Celsius { sensor: reading.sensor, celsius: (reading.fahrenheit - 32.0) / 1.8 })
//! }
//! ```
//!
//! | type of the struct's field | type in a schema |
//! |---|---|
//! | `bool` | `bool` |
//! | `i8` to `i64`, `u8` to `u64` | `s8` to `s64`, `u8` to `u64` |
//! | `f32`, `f64` | `f32`, `f64` |
//! | [`Timestamp`], [`Date`], [`Decimal<18, 4>`](Decimal) | `timestamp`, `date`, `decimal(18, 4)` |
//! | `&str`, `String` | `string`; `json` with `#[record(json)]` |
//! | `&[u8]`, `Vec<u8>` | `bytes` |
//! | [`List<T>`](List), `Vec<T>`, `&[f64]` and other slices | `list<T>`, `list<T?>` of `Option<T>` |
//! | a struct with `#[derive(Record)]`, with `#[record(nested)]` before the field | a struct with its fields |
//! | `Option<T>` of these | the same type, nullable |
//!
//! Lists and structs are one level deep: elements and members are neither. `&str` with `#[record(json)]` takes any
//! value.
//!
//! An operator may be an `impl` block, and a function may take `&Settings`, as with payloads.
//!
//! - `#[record(rename = "Temp (F)")]` names a field that has another name in the data.
//! - `#[record(json)]` on a text: the field is any JSON value, as its text.
//! - `#[record(nested)]` on a field whose type is a record: the field is a struct. The inner record is as visible as the
//!   outer one.
//! - `#[record(extends)]` on the struct that a map, flat-map or process gives: the output also has the other fields of
//!   the input record. Otherwise the output replaces the input record.
//! - Documentation comments of fields become the documentation of the schema.
//!
//! A `process` and a `source` give their records to a [`Port`] for each output, each with a record type of its own. A
//! `process` and a `sink` may take `Record<Reading>`, which also has key, event time and headers:
//!
//! ```
//! use sage_guest::{Error, Record};
//!
//! #[derive(Record)]
//! struct Reading { celsius: f64 }
//!
//! #[sage_guest::sink]
//! fn tell(reading: Record<Reading>) -> Result<(), Error> {
//!     let sensor: &str = reading.key_as()?;
//!     sage_guest::log::info!("{sensor}: {}", reading.payload.celsius);
//!     Ok(())
//! }
//! ```
//!
//! Flow of a call: the columns of the table become slices of equal length; the loops in `each` read 32 records at a
//! time from arrays, call the operator, and write the outputs to arrays, so that the compiler can use SIMD between
//! two checks of the deadline. A text that is given back as it came is not copied (`same_text`).

mod batch;
mod bits;
mod column_view;
mod columns;
mod data_type;
mod each;
mod give;
mod lent_text;
mod lists;
mod nullable;
mod numbers;
mod port;
mod ports;
mod read;
mod round;
mod same_text;
mod segment;
mod structs;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod units;

pub use batch::Batch;
pub use column_view::ColumnView;
pub use columns::{ColumnOf, Columns, Inputs, RecordColumns};
pub use data_type::{DataType, FieldType};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use each::table;
pub use each::{OutputRows, Slot, TableCall};
pub use give::{FieldOut, IntoField, IntoFields, RecordOut};
pub use lists::{List, ListElement};
pub use port::{Port, PortEmission};
#[doc(hidden)]
pub use ports::{Outputs, Ports, Start};
pub use read::{CHUNK, FromField, FromFields};
pub use round::round_to;
pub use table::{Field, FieldBatch, Table, Values};
pub use units::{Date, Decimal, Timestamp};

#[doc(hidden)]
pub use bits::{BitsOut, BitsTurn, NextBits};
#[doc(hidden)]
pub use lent_text::{LentTextOut, LentTexts};
#[doc(hidden)]
pub use lists::{ListOut, Lists};
#[doc(hidden)]
pub use nullable::NullableOut;
#[doc(hidden)]
pub use numbers::{NumbersOut, NumbersTurn};
#[doc(hidden)]
pub use same_text::TextOut;
#[doc(hidden)]
pub use structs::StructOut;
