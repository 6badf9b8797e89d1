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

/// One copy of an operator, with a host of its own in memory.
pub struct Lane<L> {
    lane: L,
    context: Context,
    host: host::Recorder,
}

/// Any kind of lane.
pub trait Open: Default {
    /// Start it.
    #[doc(hidden)]
    fn open_lane(&mut self, context: &Context) -> Result<(), String>;
    /// End it.
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
    MapLane: Map, FilterLane: Filter, FlatMapLane: FlatMap, KeyByLane: KeyBy, ProcessLane: Process, SourceLane: Source, SinkLane: Sink
);

impl<L: Open> Lane<L> {
    /// Open the operator with this `config`, as the only lane of the only instance. An error is what `open` answered.
    pub fn open(config: serde_json::Value) -> Result<Self, String> {
        Self::open_as(Context { config: config.to_string(), ..Context::default() })
    }

    /// Open the operator as this lane of this instance.
    pub fn open_as(context: Context) -> Result<Self, String> {
        Self::open_on(context, host::Recorder::default())
    }

    /// Open the operator with a lease on a whole device, and these models to run there. Otherwise as [`open`](Self::open), where
    /// it has no lease.
    pub fn open_with_models(
        config: serde_json::Value,
        models: impl IntoIterator<Item = Model>,
    ) -> Result<Self, String> {
        let context = Context { config: config.to_string(), ..Context::default() };
        let models = models.into_iter().map(Rc::new).collect();
        Self::open_on(context, host::Recorder { lease: Some(LeaseState::Held), models, ..host::Recorder::default() })
    }

    fn open_on(context: Context, host: host::Recorder) -> Result<Self, String> {
        let mut lane = Self { lane: L::default(), context, host };
        lane.restart()?;
        Ok(lane)
    }

    /// From now on the lease stands like this: [`LeaseState::Revoked`], say. For a lane with models.
    pub fn set_lease(&mut self, state: LeaseState) {
        self.host.lease = Some(state);
    }

    /// Throw the copy away and open a fresh one, as a host does after a trap. State stays: the host has it.
    pub fn restart(&mut self) -> Result<(), String> {
        let mut lane = L::default();
        host::enter(&mut self.host, || lane.open_lane(&self.context))?;
        self.lane = lane;
        Ok(())
    }

    /// Close the operator.
    pub fn close(mut self) {
        host::enter(&mut self.host, || self.lane.close_lane());
    }

    /// What was logged so far.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.host.logs
    }

    /// Where a counter stands.
    pub fn counter(&self, name: &str) -> u64 {
        self.host.counters.get(name).copied().unwrap_or_default()
    }

    /// Where a gauge stands.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.host.gauges.get(name).copied()
    }

    /// What a histogram observed.
    pub fn histogram(&self, name: &str) -> &[f64] {
        self.host.histograms.get(name).map_or(&[], Vec::as_slice)
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut L) -> R) -> R {
        host::enter(&mut self.host, || call(&mut self.lane))
    }

    fn failures(&mut self) -> Vec<Failure> {
        let told = std::mem::take(&mut self.host.failures);
        told.into_iter().map(|(row, message)| Failure { record: row as usize, message }).collect()
    }
}

/// The payloads of records; what a kind that sees nothing else is handed.
fn payloads<R: Into<Record>>(records: impl IntoIterator<Item = R>) -> Column {
    let records: Vec<Record> = records.into_iter().map(Into::into).collect();
    batch(&records).payloads
}

impl<O: operator::Map> Map<O> {
    /// Hand it a batch. Rejected records are not among the outputs.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let mut input = payloads(records);
        self.call(|lane| lane.call(&mut input));
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
    /// Hand it a batch. The outputs are the records with their keys, but for the rejected ones.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let input = payloads(records);
        self.call(|lane| lane.call(&input));
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
    /// Hand it a batch. The outputs are the records that stay.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let input = payloads(records);
        self.call(|lane| lane.call(&input));
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
    /// Hand it a batch.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let input = payloads(records);
        self.call(|lane| lane.call(&input));
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
    /// Hand it a batch.
    ///
    /// # Panics
    /// If some records have a key, or an event time, and some have none.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let records: Vec<Record> = records.into_iter().map(Into::into).collect();
        self.call(|lane| lane.call(batch(&records)));
        self.emitted()
    }

    /// Tell it that no more input comes.
    pub fn end(&mut self) -> Outcome {
        self.call(ProcessLane::end);
        self.emitted()
    }

    /// What a table's value is for a key, as the host holds it.
    ///
    /// # Panics
    /// If it is not a `T`.
    pub fn value<T: State>(&self, table: &str, key: impl AsRef<[u8]>) -> Option<T> {
        self.value_of(table, &Some(key.as_ref().to_vec()))
    }

    /// What a table's value is for records without a key.
    ///
    /// # Panics
    /// If it is not a `T`.
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

    /// How many keys a table holds something for.
    pub fn keys(&self, table: &str) -> usize {
        self.host.tables.get(table).map_or(0, |table| table.keys.len())
    }

    /// How many calls of `state` the host has had.
    pub fn state_calls(&self) -> usize {
        self.host.state_calls
    }

    fn emitted(&mut self) -> Outcome {
        let mut outcome = Outcome { outputs: Vec::new(), failures: self.failures() };
        outcome.emitted(O::PORTS, std::mem::take(&mut self.host.emitted));
        outcome
    }
}

impl<O: operator::Source> Source<O> {
    /// Ask for up to about this many records.
    pub fn next(&mut self, max_records: u32) -> Result<(Outcome, Progress), String> {
        let progress = self.call(|lane| lane.call(max_records, 1 << 20));
        let mut outcome = Outcome::default();
        outcome.emitted(O::PORTS, std::mem::take(&mut self.host.emitted));
        Ok((outcome, progress?))
    }

    /// Where it stands.
    pub fn position(&mut self) -> Vec<u8> {
        self.call(SourceLane::position)
    }

    /// Go on from a position.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), String> {
        self.call(|lane| lane.seek(position))
    }
}

impl<O: operator::Sink> Sink<O> {
    /// Hand it a batch; a sink has no outputs, only failures.
    ///
    /// # Panics
    /// If some records have a key, or an event time, and some have none.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let records: Vec<Record> = records.into_iter().map(Into::into).collect();
        self.call(|lane| lane.call(&batch(&records)));
        Outcome { outputs: Vec::new(), failures: self.failures() }
    }

    /// Make it flush.
    pub fn flush(&mut self) -> Result<(), String> {
        self.call(SinkLane::flush)
    }
}

impl<L> fmt::Debug for Lane<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("context", &self.context).finish_non_exhaustive()
    }
}
