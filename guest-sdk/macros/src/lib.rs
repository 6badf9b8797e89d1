//! The attribute macros of `sage-guest`; use them through that crate, which documents them.
//!
//! Flow: an attribute's arguments and its item become an operator (function or `impl` block, checked by
//! `signature`), which `expand` turns into the user's own code, unchanged, an implementation of the kind's trait
//! from `sage_guest::operator`, and, in a component only, the exports of the kind's world.
//! What syntax can tell is refused here, in words that say what to write; types are checked by the traits' own diagnostics.

mod arguments;
mod describe;
mod docs;
mod expand;
mod kind;
mod operator;
mod ports;
mod serde_attributes;
mod signature;

use kind::Kind;
use proc_macro::TokenStream;

fn attribute(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let original = proc_macro2::TokenStream::from(item.clone());
    let expanded = arguments::Arguments::read(kind, arguments.into())
        .and_then(|arguments| operator::read(kind, arguments, syn::parse(item)?))
        .map(|operator| expand::expand(&operator));
    match expanded {
        Ok(tokens) => tokens.into(),
        // The user's own code stays, so that the only error shown is ours.
        Err(error) => {
            let error = error.into_compile_error();
            quote::quote!(#original #error).into()
        }
    }
}

/// One record in, one record out.
///
/// The function takes a payload and gives a payload (`FromPayload`, `IntoPayload`). Keys, event time and headers stay with the record. A `Result` return rejects
/// that one record with the error's message; the others go on.
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
/// A second parameter is the configuration: `config = { ... }` of the pipeline file, read once when the operator opens.
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
/// What it gives may be borrowed, from the record or from the configuration; such bytes are moved within the batch's own memory, or stay where they are, until one
/// is longer than there is room for.
///
/// ```
/// #[sage_guest::map]
/// fn first_word(line: &str) -> &str {
///     line.split(' ').next().unwrap_or_default()
/// }
/// ```
///
/// With `&mut [u8]` the record is changed where it lies, and keeps its length. There is nothing to give but, in a `Result<(), Error>`, an error.
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
/// What has to remember something is a struct. `open` may be left out where the struct is `Default`, `close` always.
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
/// Guest memory is a cache, never the truth: after a trap the struct starts again at `open`. What must survive is the state of a `process`.
#[proc_macro_attribute]
pub fn map(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Map, arguments, item)
}

/// One record in, the same record or none out.
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
/// `-> Result<bool, Error>` may reject a record, which is not the same as dropping it: a rejected one is counted, and goes to
/// the `rejects` port. A second parameter `&Settings` is the configuration; a struct has `fn filter(&mut self, record: In) -> bool`. Both are as for `map`.
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

/// One record in, any number out.
///
/// ```
/// #[sage_guest::flat_map]
/// fn words(line: &str) -> impl Iterator<Item = &str> {
///     line.split_whitespace()
/// }
/// ```
///
/// What it returns is anything that can be iterated over and gives payloads: `impl Iterator<Item = Out>`, `Vec<Out>`, `Option<Out>`; in a `Result`, it may reject the
/// record, and what it had given is taken back. An output inherits key, event time and headers. A second parameter `&Settings` is the configuration; a struct has
/// `fn flat_map(&mut self, record: In) -> Vec<Out>`. Both are as for `map`.
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

/// Gives each record a key: what it is partitioned and keeps state by.
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
/// A key is bytes, so anything that can be a payload can be one; numbers are their decimal text. A `Result` return may reject the record. A second parameter `&Settings` is
/// the configuration; a struct has `fn key_by(&mut self, record: In) -> Key`. Both are as for `map`.
#[proc_macro_attribute]
pub fn key_by(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::KeyBy, arguments, item)
}

/// Records in, anything out, with keyed state, side outputs and a last word.
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
/// `process` takes a payload or a `Record` of one, which also has key, event time and headers. An error rejects the record, and undoes what it emitted and wrote. State belongs to the key of
/// the record being processed (`sage_guest::state`). `open` may leave `tables` out, or be left out where the struct is `Default`; `end` and `close(self)` may be left out. An error of `end` fails the call.
///
/// What is better done for many records at once, such as running a model, is done in `process_batch`, which stands in place of `process` and is handed the whole batch:
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
/// `each` goes through the records with one answer for each, and is to them what `process` is: emitting, state, and an error that rejects this one record. An error of
/// `process_batch` itself rejects, with its message, every record of the batch that `each` has not been through; where it has been through all, it fails the call, which the host retries. A
/// batch is what happened to come together: at most some thousand records and 64 KiB of payload or so, at least one record; nothing can be read off where it begins and ends.
///
/// `ports` names side outputs, `[a-z0-9-]+` each; another operator reads one as `input = "name.negative"`.
///
/// Without state a function will do: `fn name(record: Record<In>, out: &mut Emitter) -> Result<(), Error>`, with `config: &Settings` as a third parameter or without.
#[proc_macro_attribute]
pub fn process(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Process, arguments, item)
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
/// `next` emits a record or some; while it answers `More` it is called again until the host has as many as it asked for. An error fails the call, and what that one `next` had emitted
/// is taken back. `position` and `seek`, both or neither, make the source replayable: a position is anything that can be a payload, and stands after the last record
/// emitted. Ports are as for `process`.
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
/// `write` takes a payload or a `Record` of one; an error rejects that record. `flush`, which may be left out, makes everything written so far durable. The host calls it every second or 4 MiB and at the end of
/// input; what was written since is written again if the operator fails, so a record may come twice and is never lost. A function will do where nothing is remembered: `fn name(record: Record<In>) -> Result<(), Error>`.
#[proc_macro_attribute]
pub fn sink(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Sink, arguments, item)
}

/// The shape of a type as serde reads it, for the host to check `config` by before the run: the trait `sage_guest::Describe`,
/// which says what is understood.
#[proc_macro_derive(Describe, attributes(serde))]
pub fn describe(item: TokenStream) -> TokenStream {
    let derived = syn::parse(item).and_then(|input| describe::derive(&input));
    derived.unwrap_or_else(|error| error.into_compile_error()).into()
}
