//! The attribute macros of `sage-guest`. Use them through that crate, which documents them.
//!
//! Flow: the arguments of an attribute and its item become an operator (a function or an `impl` block, checked
//! by `signature`). `expand` turns the operator into three parts: the user's own code, unchanged; an
//! implementation of the kind's trait from `sage_guest::operator`; and, only in a component, the exports of the
//! kind's world. Mistakes that the syntax shows are reported here, with the code to write instead. The
//! diagnostics of the traits check the types.

mod arguments;
mod attribute;
mod by_field;
mod describe;
mod docs;
mod expand;
mod expand_fields;
mod expand_rows;
mod field_types;
mod kind;
mod lifetimes;
mod operator;
mod port_parameters;
mod ports;
mod record;
mod record_attributes;
mod serde_attributes;
mod signature;
mod window;

use attribute::attribute;
use kind::Kind;
use proc_macro::TokenStream;

/// One record in, one record out.
///
/// The function takes a payload and returns a payload (`FromPayload`, `IntoPayload`). Key, event time and
/// headers stay with the record. A function that returns a `Result` may reject a record: the error's message is
/// the reason, and the operator continues with the next record.
///
/// ```
/// use sage_guest::{Error, Json};
///
/// #[derive(serde::Deserialize)]
/// struct Reading { fahrenheit: f64 }
///
/// #[derive(serde::Serialize)]
/// struct Celsius { celsius: f64 }
///
/// #[sage_guest::map]
/// fn celsius(reading: Json<Reading>) -> Result<Json<Celsius>, Error> {
///     if reading.fahrenheit < -459.67 {
///         return Err("below absolute zero".into());
///     }
///     Ok(Json(Celsius { celsius: (reading.fahrenheit - 32.0) / 1.8 }))
/// }
/// ```
///
/// A function whose parameter is a struct with `#[derive(Record)]` takes its record by field and gives such a struct
/// too: see `sage_guest::fields`.
///
/// A second parameter is the configuration: `config = { ... }` of the pipeline file, read once when the
/// operator opens.
///
/// ```
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings { prefix: String }
///
/// #[sage_guest::map]
/// fn prefixed(line: &str, settings: &Settings) -> String {
///     format!("{}{line}", settings.prefix)
/// }
/// ```
///
/// The result may be borrowed from the record or from the configuration. Borrowed bytes are moved within the
/// batch's own memory, or stay in place, until a result is longer than the free space.
///
/// ```
/// #[sage_guest::map]
/// fn first_word(line: &str) -> &str {
///     line.split(' ').next().unwrap_or_default()
/// }
/// ```
///
/// A function that takes `&mut [u8]` changes the record in place. The record keeps its length. The function
/// returns nothing, or a `Result<(), Error>` to be able to reject the record.
///
/// ```
/// #[sage_guest::map]
/// fn mask(record: &mut [u8]) {
///     for byte in record {
///         *byte = if byte.is_ascii_digit() { b'#' } else { *byte };
///     }
/// }
///
/// let mut record = *b"DE02 1203";
/// mask(&mut record);
/// assert_eq!(&record, b"DE## ####");
/// ```
///
/// An operator that must remember something is a struct. `open` may be left out if the struct implements
/// `Default`. `close` may always be left out.
///
/// ```
/// use sage_guest::{Context, Error};
///
/// struct Numbered { instance: u32, next: u64 }
///
/// #[sage_guest::map]
/// impl Numbered {
///     fn open(context: &Context) -> Result<Self, Error> {
///         Ok(Self { instance: context.instance, next: 0 })
///     }
///
///     fn map(&mut self, line: &str) -> String {
///         self.next += 1;
///         format!("{}-{} {line}", self.instance, self.next)
///     }
///
///     fn close(self) {
///         sage_guest::log::info!("{} lines", self.next);
///     }
/// }
/// ```
///
/// Guest memory is a cache, never the truth: after a trap the struct starts again at `open`. Data that must
/// survive belongs in the state of a `process`.
#[proc_macro_attribute]
pub fn map(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Map, arguments, item)
}

/// One record in, the same record or no record out.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Reading { celsius: f64 }
///
/// #[sage_guest::filter]
/// fn hot(reading: sage_guest::Json<Reading>) -> bool {
///     reading.celsius > 30.0
/// }
/// ```
///
/// A filter that returns `Result<bool, Error>` may reject a record. Rejecting differs from dropping: a rejected
/// record is counted and goes to the `rejects` port. A second parameter `&Settings` is the configuration. A
/// struct has `fn filter(&mut self, record: In) -> bool`. Both are as for `map`.
///
/// ```
/// struct EveryOther { odd: bool }
///
/// #[sage_guest::filter]
/// impl EveryOther {
///     fn open(_: &sage_guest::Context) -> Self {
///         Self { odd: false }
///     }
///
///     fn filter(&mut self, _: &[u8]) -> bool {
///         self.odd = !self.odd;
///         self.odd
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn filter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Filter, arguments, item)
}

/// One record in, any number of records out.
///
/// ```
/// #[sage_guest::flat_map]
/// fn words(line: &str) -> impl Iterator<Item = &str> {
///     line.split_whitespace()
/// }
/// ```
///
/// The function returns any iterator over payloads: `impl Iterator<Item = Out>`, `Vec<Out>` or `Option<Out>`. A
/// function that returns one of them in a `Result` may reject the record; the outputs of a rejected record are
/// taken back. An output inherits key, event time and headers. A second parameter `&Settings` is the
/// configuration. A struct has `fn flat_map(&mut self, record: In) -> Vec<Out>`. Both are as for `map`.
///
/// ```
/// use sage_guest::{Error, Json};
///
/// #[sage_guest::flat_map]
/// fn elements(array: Json<Vec<f64>>) -> Result<Vec<f64>, Error> {
///     if array.len() > 1000 {
///         return Err(format!("{} elements", array.len()).into());
///     }
///     Ok(array.0)
/// }
/// ```
#[proc_macro_attribute]
pub fn flat_map(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::FlatMap, arguments, item)
}

/// Gives each record a key, by which records are partitioned and keep state.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Flight { carrier: String }
///
/// #[sage_guest::key_by]
/// fn carrier(flight: sage_guest::Json<Flight>) -> String {
///     flight.0.carrier
/// }
/// ```
///
/// A key is bytes, so every payload type can be a key; a number is its decimal text. A function that returns a
/// `Result` may reject the record. A second parameter `&Settings` is the configuration. A struct has `fn
/// key_by(&mut self, record: In) -> Key`. Both are as for `map`.
#[proc_macro_attribute]
pub fn key_by(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::KeyBy, arguments, item)
}

/// Records in, any records out, with keyed state, side outputs and a final call at the end of input.
///
/// ```
/// use sage_guest::state::{Tables, Value};
/// use sage_guest::{Context, Emitter, Error, Record};
///
/// struct Total { sum: Value<f64> }
///
/// #[sage_guest::process(ports = ["negative"])]
/// impl Total {
///     fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
///         Ok(Self { sum: tables.value("sum")? })
///     }
///
///     fn process(&mut self, number: Record<f64>, out: &mut Emitter) -> Result<(), Error> {
///         if number.payload < 0.0 {
///             return out.to("negative").emit(number.payload);
///         }
///         self.sum.update(|sum| *sum += number.payload)
///     }
///
///     fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
///         for entry in self.sum.entries() {
///             let (key, sum) = entry?;
///             out.key_or_none(key.as_deref()).emit(sum)?;
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// `process` takes a payload, or a `Record` of a payload, which also has key, event time and headers. An error
/// rejects the record and undoes its outputs and writes. State belongs to the key of the record being processed
/// (`sage_guest::state`).
///
/// `open` may omit the parameter `tables`. A struct that implements `Default` needs no `open`. `end` and
/// `close(self)` may be left out. An error of `end` fails the call.
///
/// Some work is better done for many records at once, such as running a model. For this, write `process_batch`
/// instead of `process`. This method receives the whole batch:
///
/// ```
/// use sage_guest::inference::{Lease, Model, Tensor};
/// use sage_guest::{Context, Error, Records};
///
/// struct Scored { model: Model }
///
/// #[sage_guest::process]
/// impl Scored {
///     fn open(_: &Context) -> Result<Self, Error> {
///         Ok(Self { model: Lease::acquire()?.open("scorer")? })
///     }
///
///     fn process_batch(&mut self, readings: Records<f32>) -> Result<(), Error> {
///         let values: Vec<f32> = readings.iter().map(|reading| reading.payload).collect();
///         let answer = self.model.run(&[Tensor::new("value", [values.len()], &values)?])?;
///         let scores = answer.get("score")?.to_slice::<f32>()?;
///         readings.each(scores, |_, score, out| out.emit(*score))
///     }
/// }
/// ```
///
/// `each` processes the records, with one answer for each record, and its closure works like `process`:
/// outputs, state, and an error that rejects only this record. An error of `process_batch` itself rejects every
/// record of the batch that `each` has not yet processed, with the error's message. If `each` has processed all
/// records, such an error fails the call, and the host retries the call.
///
/// A batch has at least one record, and at most a few thousand records and about 64 KiB of payload. The
/// boundaries between batches are arbitrary and have no meaning.
///
/// By field, `process_batch` takes the records as `Batch<In>`, with their columns, and the outputs: see
/// `sage_guest::Batch`.
///
/// `ports` lists the names of side outputs. A name matches `[a-z0-9-]+`. Another operator reads a side output
/// as `input = "name.negative"`.
///
/// An operator without state can be a function: `fn name(record: Record<In>, out: &mut Emitter) -> Result<(),
/// Error>`, with or without a third parameter `config: &Settings`.
#[proc_macro_attribute]
pub fn process(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Process, arguments, item)
}

/// Sums up windows of records. The host keeps the windows: the pipeline file says which, as in `window = { tumbling =
/// "1m" }`. The operator has three methods and keeps nothing itself:
///
/// - `add` adds a record to the *accumulator* of a key and window. The type of the accumulator is a number, a `String`, a
///   tuple of numbers or `Json<T>`, and begins as its `Default`. An error rejects the record.
/// - `merge` adds the accumulator of a later session. Only sessions are merged.
/// - `finish` emits the result of a window, with the window's key and its last microsecond as event time unless it sets
///   others. An error fails the call; the host then gives up this window alone.
///
/// ```
/// use sage_guest::{Emitter, Error, Window};
///
/// /// The mean of each window.
/// #[derive(Default)]
/// struct Mean;
///
/// #[sage_guest::window]
/// impl Mean {
///     fn add(&mut self, sum: &mut (u64, f64), reading: f64) {
///         *sum = (sum.0 + 1, sum.1 + reading);
///     }
///
///     fn merge(&mut self, sum: &mut (u64, f64), later: (u64, f64)) {
///         *sum = (sum.0 + later.0, sum.1 + later.1);
///     }
///
///     fn finish(&mut self, window: &Window, (count, sum): (u64, f64), out: &mut Emitter) -> Result<(), Error> {
///         out.emit(format!("{} {}", window.start(), sum / count as f64))
///     }
/// }
/// ```
///
/// `add` takes a payload or a `Record` of one. If the output of `finish` is a `&mut Port<Out>`, records are by field:
/// `add` takes a struct with `#[derive(Record)]`, or a `Record` of one.
#[proc_macro_attribute]
pub fn window(arguments: TokenStream, item: TokenStream) -> TokenStream {
    window::attribute(arguments, item)
}

/// Makes records.
///
/// ```
/// use sage_guest::{Context, Emitter, Error, Progress};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { count: u64 }
///
/// struct Counter { next: u64, count: u64 }
///
/// #[sage_guest::source]
/// impl Counter {
///     fn open(context: &Context) -> Result<Self, Error> {
///         let Settings { count } = context.config()?;
///         Ok(Self { next: 0, count })
///     }
///
///     fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error> {
///         if self.next == self.count {
///             return Ok(Progress::End);
///         }
///         out.emit(self.next)?;
///         self.next += 1;
///         Ok(Progress::More)
///     }
///
///     fn position(&self) -> u64 {
///         self.next
///     }
///
///     fn seek(&mut self, position: u64) {
///         self.next = position;
///     }
/// }
/// ```
///
/// `next` emits one or more records. While `next` returns `More`, the SDK calls it again until the host has as
/// many records as it asked for. An error fails the call, and the outputs of that one `next` are taken back.
///
/// `position` and `seek`, always together, make the source replayable. A position can be any payload type, and
/// points behind the last record emitted. Ports are as for `process`.
#[proc_macro_attribute]
pub fn source(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Source, arguments, item)
}

/// Takes records out of the pipeline.
///
/// ```
/// use sage_guest::{Error, Record, log};
///
/// #[derive(Default)]
/// struct Tally { records: u64 }
///
/// #[sage_guest::sink]
/// impl Tally {
///     fn write(&mut self, record: Record<&str>) -> Result<(), Error> {
///         if record.payload.is_empty() {
///             return Err("empty".into());
///         }
///         self.records += 1;
///         Ok(())
///     }
///
///     fn flush(&mut self) -> Result<(), Error> {
///         log::info!("{} records", self.records);
///         Ok(())
///     }
/// }
/// ```
///
/// `write` takes a payload, or a `Record` of a payload. An error rejects the record.
///
/// `flush` makes all records written so far durable, and may be left out. The host calls `flush` every second,
/// after every 4 MiB, and at the end of input. If the operator fails, the records since the last flush are
/// written again: a record may come twice, but it is never lost.
///
/// An operator that remembers nothing can be a function: `fn name(record: Record<In>) -> Result<(), Error>`.
#[proc_macro_attribute]
pub fn sink(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Sink, arguments, item)
}

/// Describes the shape that serde reads, so that the host can check `config` before the run. The trait
/// `sage_guest::Describe` documents the supported attributes.
#[proc_macro_derive(Describe, attributes(serde))]
pub fn describe(item: TokenStream) -> TokenStream {
    let derived = syn::parse(item).and_then(|input| describe::derive(&input));
    derived.unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Makes a struct with named fields a record, which operators take and give by field. The module
/// `sage_guest::fields` documents the types of fields and the attributes.
#[proc_macro_derive(Record, attributes(record))]
pub fn record(item: TokenStream) -> TokenStream {
    let derived = syn::parse(item).and_then(|input| record::derive(&input));
    derived.unwrap_or_else(|error| error.into_compile_error()).into()
}
