use super::fields::{fields_of, resolve};
use super::json::Object;
use super::lane::{Keyed, Lane, Open};
use super::outcome::{Failure, Outcome, Output};
use super::record::{Record, batch};
use super::{columns, json};
use crate::Context;
use crate::description::Fields;
use crate::fields::{FieldBatch, IntoFields, table};
use crate::operator::{self, Described, FieldsProcessLane, FieldsSinkLane, FieldsSourceLane, Progress};
use crate::types::Batch;

/// A `process` whose records are by field, under test.
pub type FieldsProcess<O> = Lane<FieldsProcessLane<O>>;
/// A `source` whose records are by field, under test.
pub type FieldsSource<O> = Lane<FieldsSourceLane<O>>;
/// A `sink` that takes records by field, under test.
pub type FieldsSink<O> = Lane<FieldsSinkLane<O>>;

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

open!(FieldsProcessLane: FieldsProcess, FieldsSourceLane: FieldsSource, FieldsSinkLane: FieldsSink);

impl<O: operator::FieldsProcess> Keyed for FieldsProcessLane<O> {}

/// The input of a call.
pub(super) struct Input {
    pub(super) batch: FieldBatch,
    /// Each row's record with its index among the records of the test.
    records: Vec<(usize, Object)>,
    /// The records that are not as the operator's description says. The host rejects them before the operator.
    pub(super) failures: Vec<Failure>,
}

impl Input {
    /// No records.
    pub(super) fn none() -> Self {
        Self { batch: FieldBatch::default(), records: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn of<O: Described, R: Into<Record>>(records: impl IntoIterator<Item = R>) -> Self {
        let reads = fields_of::<O>().reads;
        let (mut rows, mut known, mut failures, mut sound) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, record) in records.into_iter().enumerate() {
            let record: Record = record.into();
            let text = String::from_utf8_lossy(record.payload()).into_owned();
            match json::read(&text, reads) {
                Ok((object, cells)) => {
                    known.push((index, object));
                    rows.push(cells);
                    sound.push(record);
                }
                Err(message) => failures.push(Failure { record: index, message }),
            }
        }
        let Batch { keys, timestamps, headers, .. } = batch(&sound);
        let table = columns::build(reads, &rows);
        Self { batch: FieldBatch { table, keys, timestamps, headers }, records: known, failures }
    }

    fn of_values<O: Described, G: IntoFields>(records: impl IntoIterator<Item = G>) -> Self {
        let reads = fields_of::<O>().reads;
        assert!(G::FIELDS == reads, "the operator reads {reads:?}, and these records have {:?}", G::FIELDS);
        let table = table(records);
        let object = |row| json::write(Object::default(), G::FIELDS, &table, row);
        let records = (0..table.rows()).map(|row| (row, object(row))).collect();
        Self { batch: FieldBatch { table, ..FieldBatch::default() }, records, failures: Vec::new() }
    }
}

impl<L: Open> Lane<L> {
    /// The records emitted since the last call, as JSON, and the rejected records.
    pub(super) fn outcome(&mut self, fields: &Fields, input: &mut Input) -> Outcome {
        let told = self.failures().into_iter().filter_map(|Failure { record, message }| {
            input.records.get(record).map(|(record, _)| Failure { record: *record, message })
        });
        let mut failures = std::mem::take(&mut input.failures);
        failures.extend(told);
        failures.sort_by_key(|failure| failure.record);
        let mut outputs = Vec::new();
        for (port, batch, parents) in std::mem::take(&mut self.host().field_emitted) {
            let side = (port as usize).checked_sub(1).and_then(|side| fields.ports.get(side));
            let (name, gives, keeps_rest) = match side {
                Some(side) => (side.name, side.gives, side.keeps_rest),
                None => ("", fields.gives, fields.keeps_rest),
            };
            let FieldBatch { table, keys, timestamps, .. } = batch;
            let rows = table.rows();
            assert!(
                parents.as_ref().is_none_or(|parents| parents.len() == rows),
                "a parent for each of {rows} records"
            );
            let columns = resolve(table, gives, None);
            for row in 0..rows {
                let parent = parents.as_ref().and_then(|parents| input.records.get(*parents.get(row)? as usize));
                assert!(!keeps_rest || parent.is_some(), "a record without a parent extends none");
                let rest = parent.filter(|_| keeps_rest).map(|(_, record)| record.clone()).unwrap_or_default();
                outputs.push(Output {
                    port: name.to_owned(),
                    payload: json::write(rest, gives, &columns, row).to_string().into_bytes(),
                    key: keys.as_ref().and_then(|keys| keys.get(row)).map(<[u8]>::to_vec),
                    timestamp: timestamps.as_ref().and_then(|timestamps| timestamps.get(row).copied()),
                    parent: parent.map(|(index, _)| *index),
                });
            }
        }
        Outcome { outputs, failures }
    }
}

impl<O: operator::FieldsProcess + Described> FieldsProcess<O> {
    /// Processes a batch of records, each with a JSON object as its payload. As in a host, a record is rejected before
    /// the operator if a field is missing or has another type. The outputs are JSON too.
    ///
    /// # Panics
    /// Some records have a key and others have none, or some have an event time and others have none.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        self.run_input(Input::of::<O, R>(records))
    }

    /// Processes a batch of records of the operator's own type, without keys. The outputs are JSON.
    ///
    /// # Panics
    /// The records do not have the fields that the operator reads.
    pub fn run_records<G: IntoFields>(&mut self, records: impl IntoIterator<Item = G>) -> Outcome {
        self.run_input(Input::of_values::<O, G>(records))
    }

    fn run_input(&mut self, mut input: Input) -> Outcome {
        let batch = input.batch.clone();
        self.call(|lane| lane.call(batch));
        self.outcome(&fields_of::<O>(), &mut input)
    }

    /// Ends the input.
    pub fn end(&mut self) -> Outcome {
        self.call(FieldsProcessLane::end);
        self.outcome(&fields_of::<O>(), &mut Input::of::<O, Record>([]))
    }
}

impl<O: operator::FieldsSource + Described> FieldsSource<O> {
    /// Asks for up to about this many records. They are JSON.
    ///
    /// # Errors
    /// The error that the operator's `next` returned.
    pub fn next(&mut self, max_records: u32) -> Result<(Outcome, Progress), String> {
        let progress = self.call(|lane| lane.call(max_records, 1 << 20));
        let outcome = self.outcome(&fields_of::<O>(), &mut Input::of::<O, Record>([]));
        Ok((outcome, progress?))
    }

    /// Returns the current position of the source.
    pub fn position(&mut self) -> Vec<u8> {
        self.call(FieldsSourceLane::position)
    }

    /// Continues from a position.
    ///
    /// # Errors
    /// The error that the operator's `seek` returned.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), String> {
        self.call(|lane| lane.seek(position))
    }
}

impl<O: operator::FieldsSink + Described> FieldsSink<O> {
    /// Processes a batch of records, each with a JSON object as its payload. A sink has no outputs, only failures.
    ///
    /// # Panics
    /// Some records have a key and others have none, or some have an event time and others have none.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        self.run_input(Input::of::<O, R>(records))
    }

    /// Processes a batch of records of the operator's own type, without keys.
    ///
    /// # Panics
    /// The records do not have the fields that the operator reads.
    pub fn run_records<G: IntoFields>(&mut self, records: impl IntoIterator<Item = G>) -> Outcome {
        self.run_input(Input::of_values::<O, G>(records))
    }

    fn run_input(&mut self, mut input: Input) -> Outcome {
        self.call(|lane| lane.call(&input.batch));
        self.outcome(&fields_of::<O>(), &mut input)
    }

    /// Flushes the sink.
    ///
    /// # Errors
    /// The error that the operator's `flush` returned.
    pub fn flush(&mut self) -> Result<(), String> {
        self.call(FieldsSinkLane::flush)
    }
}
