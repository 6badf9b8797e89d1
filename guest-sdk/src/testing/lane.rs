use std::fmt;
use std::rc::Rc;

use super::model::Model;
use super::outcome::{Failure, Outcome, Output};
use super::record::{Record, batch};
use crate::inference::LeaseState;
use crate::log::Level;
use crate::operator::{self, FilterLane, FlatMapLane, KeyByLane, MapLane, ProcessLane, Progress, SinkLane, SourceLane};
use crate::state::{State, StateKey};
use crate::types::Column;
use crate::{Context, host};

/// A `map` under test.
pub type Map<O> = Lane<MapLane<O>>;
/// A `filter` under test.
pub type Filter<O> = Lane<FilterLane<O>>;
/// A `flat_map` under test.
pub type FlatMap<O> = Lane<FlatMapLane<O>>;
/// A `key_by` under test.
pub type KeyBy<O> = Lane<KeyByLane<O>>;
/// A `process` under test.
pub type Process<O> = Lane<ProcessLane<O>>;
/// A `source` under test.
pub type Source<O> = Lane<SourceLane<O>>;
/// A `sink` under test.
pub type Sink<O> = Lane<SinkLane<O>>;

/// A copy of an operator, with its own in-memory host.
pub struct Lane<L> {
    lane: L,
    context: Context,
    host: host::Recorder,
    edge: Option<String>,
}

/// A lane of any kind.
pub trait Open: Default {
    /// Starts the lane.
    #[doc(hidden)]
    fn open_lane(&mut self, context: &Context) -> Result<(), String>;
    /// Ends the lane.
    #[doc(hidden)]
    fn close_lane(&mut self);
}

macro_rules! open {
    ($($lane:ident: $kind:ident),*) => {$(
        impl<O: operator::$kind> Open for $lane<O> {
            fn open_lane(&mut self, context: &Context) -> Result<(), String> {
                self.open(context)
            }

            fn close_lane(&mut self) {
                self.close();
            }
        }
    )*};
}

open!(
    MapLane: Map, FilterLane: Filter, FlatMapLane: FlatMap, KeyByLane: KeyBy, ProcessLane: Process,
    SourceLane: Source, SinkLane: Sink
);

impl<L: Open> Lane<L> {
    /// Opens the operator with this `config`, as the only lane of the only instance.
    ///
    /// # Errors
    /// The error that the operator's `open` returned.
    pub fn open(config: serde_json::Value) -> Result<Self, String> {
        Self::open_as(Context { config: config.to_string(), ..Context::default() })
    }

    /// Opens the operator with this context, which names the instance and the lane.
    pub fn open_as(context: Context) -> Result<Self, String> {
        Self::open_on(context, host::Recorder::default())
    }

    /// Opens the operator with a lease on a whole device and with these models. Otherwise like
    /// [`open`](Self::open), which gives no lease.
    pub fn open_with_models(
        config: serde_json::Value,
        models: impl IntoIterator<Item = Model>,
    ) -> Result<Self, String> {
        let context = Context { config: config.to_string(), ..Context::default() };
        let models = models.into_iter().map(Rc::new).collect();
        Self::open_on(context, host::Recorder { lease: Some(LeaseState::Held), models, ..host::Recorder::default() })
    }

    fn open_on(context: Context, host: host::Recorder) -> Result<Self, String> {
        let mut lane = Self { lane: L::default(), context, host, edge: None };
        lane.restart()?;
        Ok(lane)
    }

    /// Sets the edge of the batches from now on: the name of the input from which they come, or `None`.
    pub fn on_edge<'a>(&mut self, edge: impl Into<Option<&'a str>>) {
        self.edge = edge.into().map(str::to_owned);
    }

    /// Sets the state of the lease from now on, for example [`LeaseState::Revoked`]. Use this for a lane with
    /// models.
    pub fn set_lease(&mut self, state: LeaseState) {
        self.host.lease = Some(state);
    }

    /// Drops this copy and opens a fresh one, as a host does after a trap. State survives, because the host
    /// holds it.
    pub fn restart(&mut self) -> Result<(), String> {
        let mut lane = L::default();
        host::enter(&mut self.host, || lane.open_lane(&self.context))?;
        self.lane = lane;
        Ok(())
    }

    /// Closes the operator.
    pub fn close(mut self) {
        host::enter(&mut self.host, || self.lane.close_lane());
    }

    /// The messages logged so far.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.host.logs
    }

    /// Returns the value of a counter.
    pub fn counter(&self, name: &str) -> u64 {
        self.host.counters.get(name).copied().unwrap_or_default()
    }

    /// Returns the value of a gauge, if it was set.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.host.gauges.get(name).copied()
    }

    /// Returns the observations of a histogram.
    pub fn histogram(&self, name: &str) -> &[f64] {
        self.host.histograms.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn host(&mut self) -> &mut host::Recorder {
        &mut self.host
    }

    pub(super) fn call<R>(&mut self, call: impl FnOnce(&mut L) -> R) -> R {
        host::enter(&mut self.host, || call(&mut self.lane))
    }

    /// Calls the operator with a batch, which has an edge.
    pub(super) fn call_with_batch<R>(&mut self, call: impl FnOnce(&mut L) -> R) -> R {
        self.host.edge.clone_from(&self.edge);
        let result = self.call(call);
        self.host.edge = None;
        result
    }

    pub(super) fn failures(&mut self) -> Vec<Failure> {
        let told = std::mem::take(&mut self.host.failures);
        told.into_iter().map(|(row, message)| Failure { record: row as usize, message }).collect()
    }
}

/// A lane with keyed state: that of a `process`.
pub trait Keyed: Open {}

impl<O: operator::Process> Keyed for ProcessLane<O> {}

impl<L: Keyed> Lane<L> {
    /// Returns the value of a key in a table, as the host holds it.
    ///
    /// # Panics
    /// The value is not a `T`.
    pub fn value<T: State>(&self, table: &str, key: impl AsRef<[u8]>) -> Option<T> {
        self.value_of(table, &Some(key.as_ref().to_vec()))
    }

    /// Returns the value of records without a key in a table.
    ///
    /// # Panics
    /// The value is not a `T`.
    pub fn value_without_key<T: State>(&self, table: &str) -> Option<T> {
        self.value_of(table, &None)
    }

    #[expect(clippy::panic, reason = "a test that looks for another type than was written is to fail")]
    fn value_of<T: State>(&self, table: &str, key: &Option<Vec<u8>>) -> Option<T> {
        let bytes = self.host.tables.get(table)?.keys.get(&key.encode_key())?.value.as_ref()?;
        match T::decode(bytes) {
            Ok(value) => Some(value),
            Err(error) => panic!("table {table:?}: {}", error.message()),
        }
    }

    /// Returns the number of keys in a table.
    pub fn keys(&self, table: &str) -> usize {
        self.host.tables.get(table).map_or(0, |table| table.keys.len())
    }

    /// Returns the number of calls of `state` that the host has received.
    pub fn state_calls(&self) -> usize {
        self.host.state_calls
    }
}

/// Returns the payloads of records, for the kinds that see nothing else.
fn payloads<R: Into<Record>>(records: impl IntoIterator<Item = R>) -> Column {
    let records: Vec<Record> = records.into_iter().map(Into::into).collect();
    batch(&records).payloads
}

impl<O: operator::Map> Map<O> {
    /// Processes a batch. The outputs do not contain rejected records.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let mut input = payloads(records);
        self.call_with_batch(|lane| lane.call(&mut input));
        let failures = self.failures();
        let mut outputs = Vec::new();
        for told in std::mem::take(&mut self.host.payloads) {
            for (row, payload) in told.iter().enumerate() {
                if failures.iter().all(|failure| failure.record != row) {
                    outputs.push(Output { payload: payload.to_vec(), parent: Some(row), ..Output::default() });
                }
            }
        }
        Outcome { outputs, failures }
    }
}

impl<O: operator::KeyBy> KeyBy<O> {
    /// Processes a batch. The outputs are the records with their keys, without the rejected records.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let input = payloads(records);
        self.call_with_batch(|lane| lane.call(&input));
        let failures = self.failures();
        let mut outputs = Vec::new();
        for told in std::mem::take(&mut self.host.keys) {
            for (row, (key, payload)) in told.iter().zip(input.iter()).enumerate() {
                if failures.iter().all(|failure| failure.record != row) {
                    outputs.push(Output {
                        payload: payload.to_vec(),
                        key: Some(key.to_vec()),
                        parent: Some(row),
                        ..Output::default()
                    });
                }
            }
        }
        Outcome { outputs, failures }
    }
}

impl<O: operator::Filter> Filter<O> {
    /// Processes a batch. The outputs are the records that stay.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let input = payloads(records);
        self.call_with_batch(|lane| lane.call(&input));
        let mut outputs = Vec::new();
        for told in std::mem::take(&mut self.host.keep) {
            for (row, payload) in input.iter().enumerate() {
                let byte = told.get(row / 8).copied().unwrap_or_default();
                if byte & (1 << (row % 8)) != 0 {
                    outputs.push(Output { payload: payload.to_vec(), parent: Some(row), ..Output::default() });
                }
            }
        }
        Outcome { outputs, failures: self.failures() }
    }
}

impl<O: operator::FlatMap> FlatMap<O> {
    /// Processes a batch.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let input = payloads(records);
        self.call_with_batch(|lane| lane.call(&input));
        let mut outputs = Vec::new();
        for (told, parents) in std::mem::take(&mut self.host.rows) {
            for (payload, parent) in told.iter().zip(parents) {
                outputs.push(Output { payload: payload.to_vec(), parent: Some(parent as usize), ..Output::default() });
            }
        }
        Outcome { outputs, failures: self.failures() }
    }
}

impl<O: operator::Process> Process<O> {
    /// Processes a batch.
    ///
    /// # Panics
    /// Some records have a key and others have none, or some have an event time and others have none.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let records: Vec<Record> = records.into_iter().map(Into::into).collect();
        self.call_with_batch(|lane| lane.call(batch(&records)));
        self.emitted()
    }

    /// Ends the input.
    pub fn end(&mut self) -> Outcome {
        self.call(ProcessLane::end);
        self.emitted()
    }

    fn emitted(&mut self) -> Outcome {
        let mut outcome = Outcome { outputs: Vec::new(), failures: self.failures() };
        outcome.emitted(O::PORTS, std::mem::take(&mut self.host.emitted));
        outcome
    }
}

impl<O: operator::Source> Source<O> {
    /// Asks for up to about this many records.
    ///
    /// # Errors
    /// The error that the operator's `next` returned.
    pub fn next(&mut self, max_records: u32) -> Result<(Outcome, Progress), String> {
        let progress = self.call(|lane| lane.call(max_records, 1 << 20));
        let mut outcome = Outcome::default();
        outcome.emitted(O::PORTS, std::mem::take(&mut self.host.emitted));
        Ok((outcome, progress?))
    }

    /// Returns the current position of the source.
    pub fn position(&mut self) -> Vec<u8> {
        self.call(SourceLane::position)
    }

    /// Continues from a position.
    ///
    /// # Errors
    /// The error that the operator's `seek` returned.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), String> {
        self.call(|lane| lane.seek(position))
    }
}

impl<O: operator::Sink> Sink<O> {
    /// Processes a batch. A sink has no outputs, only failures.
    ///
    /// # Panics
    /// Some records have a key and others have none, or some have an event time and others have none.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let records: Vec<Record> = records.into_iter().map(Into::into).collect();
        self.call_with_batch(|lane| lane.call(&batch(&records)));
        Outcome { outputs: Vec::new(), failures: self.failures() }
    }

    /// Flushes the sink.
    ///
    /// # Errors
    /// The error that the operator's `flush` returned.
    pub fn flush(&mut self) -> Result<(), String> {
        self.call(SinkLane::flush)
    }
}

impl<L> fmt::Debug for Lane<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("context", &self.context).finish_non_exhaustive()
    }
}
