use super::json::Object;
use super::lane::{Lane, Open};
use super::outcome::{Failure, Outcome, Output};
use super::{columns, json};
use crate::description::Fields;
use crate::fields::{FieldType, IntoFields, Table, Values, table};
use crate::operator::{self, Described, FieldsFilterLane, FieldsFlatMapLane, FieldsKeyByLane, FieldsMapLane};
use crate::{Context, host};

/// A `map` that takes records by field, under test.
pub type FieldsMap<O> = Lane<FieldsMapLane<O>>;
/// A `filter` that takes records by field, under test.
pub type FieldsFilter<O> = Lane<FieldsFilterLane<O>>;
/// A `flat_map` that takes records by field, under test.
pub type FieldsFlatMap<O> = Lane<FieldsFlatMapLane<O>>;
/// A `key_by` that takes records by field, under test.
pub type FieldsKeyBy<O> = Lane<FieldsKeyByLane<O>>;

/// The input of a call.
struct Input {
    table: Table,
    /// Each row's record with its index among the records of the test.
    records: Vec<(usize, Object)>,
    /// The records that are not as the operator's description says. The host rejects them before the operator.
    failures: Vec<Failure>,
}

impl Input {
    fn of_json<R: AsRef<str>>(reads: &[FieldType], records: impl IntoIterator<Item = R>) -> Self {
        let (mut rows, mut known, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (index, text) in records.into_iter().enumerate() {
            match json::read(text.as_ref(), reads) {
                Ok((record, cells)) => {
                    known.push((index, record));
                    rows.push(cells);
                }
                Err(message) => failures.push(Failure { record: index, message }),
            }
        }
        Self { table: columns::build(reads, &rows), records: known, failures }
    }

    fn of_values<G: IntoFields>(reads: &[FieldType], records: impl IntoIterator<Item = G>) -> Self {
        let same = |(given, read): (&FieldType, &FieldType)| {
            given.name == read.name && given.data_type == read.data_type && (read.nullable || !given.nullable)
        };
        let (given, count) = (G::FIELDS, reads.len());
        assert!(
            given.len() == count && given.iter().zip(reads).all(same),
            "the operator reads {reads:?}, and these records have {given:?}: give records as JSON instead"
        );
        let table = table(records);
        let records = (0..table.rows as usize).map(|row| (row, json::write(Object::default(), given, &table, row)));
        Self { records: records.collect(), table, failures: Vec::new() }
    }
}

/// Returns the fields of the operator.
pub(super) fn fields_of<O: Described>() -> Fields {
    O::DESCRIPTION.fields.unwrap_or(Fields { reads: &[], gives: &[], keeps_rest: true, ports: &[] })
}

/// Returns the answer, with the columns of the input where the answer names them.
///
/// # Panics
/// The answer is not sound.
pub(super) fn resolve(mut answer: Table, gives: &[FieldType], input: Option<&Table>) -> Table {
    assert!(answer.fields.len() == gives.len(), "the answer has {} columns for {gives:?}", answer.fields.len());
    for field in &mut answer.fields {
        if let Values::Same(at) = field.values
            && let Some(same) = input.and_then(|input| input.fields.get(at as usize))
        {
            // The SDK names a column of texts only, which has no children.
            *field = same.clone();
        }
    }
    for (field, given) in answer.fields.iter().zip(gives) {
        columns::check(field, &answer.children, given, answer.rows as usize);
    }
    answer
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
    FieldsMapLane: FieldsMap,
    FieldsFilterLane: FieldsFilter,
    FieldsFlatMapLane: FieldsFlatMap,
    FieldsKeyByLane: FieldsKeyBy
);

/// The methods that run a batch of one kind.
macro_rules! run {
    ($lane:ident: $kind:ident, $outputs:ident) => {
        impl<O: operator::$kind + Described> Lane<$lane<O>> {
            /// Processes a batch of records in JSON, each a text with an object. As in a host, a record is rejected
            /// before the operator if a field is missing or has another type. The outputs are JSON too.
            pub fn run<R: AsRef<str>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
                self.run_input(Input::of_json(fields_of::<O>().reads, records))
            }

            /// Processes a batch of records of the operator's own type. The outputs are JSON.
            ///
            /// # Panics
            /// The records do not have the fields that the operator reads.
            pub fn run_records<G: IntoFields>(&mut self, records: impl IntoIterator<Item = G>) -> Outcome {
                self.run_input(Input::of_values(fields_of::<O>().reads, records))
            }

            fn run_input(&mut self, mut input: Input) -> Outcome {
                self.call_with_batch(|lane| lane.call(&input.table));
                let rejected = self.failures();
                let mut outputs = Vec::new();
                $outputs(self.host(), &fields_of::<O>(), &input, &mut |row: usize, record: &Object, key| {
                    if rejected.iter().any(|failure| failure.record == row) {
                        return;
                    }
                    if let Some((parent, _)) = input.records.get(row) {
                        outputs.push(Output {
                            payload: record.to_string().into_bytes(),
                            parent: Some(*parent),
                            key,
                            ..Output::default()
                        });
                    }
                });
                let told = rejected.into_iter().filter_map(|Failure { record, message }| {
                    input.records.get(record).map(|(record, _)| Failure { record: *record, message })
                });
                input.failures.extend(told);
                input.failures.sort_by_key(|failure| failure.record);
                Outcome { outputs, failures: input.failures }
            }
        }
    };
}

run!(FieldsMapLane: FieldsMap, mapped);
run!(FieldsFilterLane: FieldsFilter, kept);
run!(FieldsFlatMapLane: FieldsFlatMap, flattened);
run!(FieldsKeyByLane: FieldsKeyBy, keyed);

/// Receives each output record with the row of its input, and with its key.
type Each<'e> = &'e mut dyn FnMut(usize, &Object, Option<Vec<u8>>);

fn mapped(host: &mut host::Recorder, fields: &Fields, input: &Input, each: Each<'_>) {
    for answer in std::mem::take(&mut host.columns) {
        assert!(answer.rows == input.table.rows, "{} rows for {} records", answer.rows, input.table.rows);
        let columns = resolve(answer, fields.gives, Some(&input.table));
        for (row, (_, record)) in input.records.iter().enumerate() {
            let rest = if fields.keeps_rest { record.clone() } else { Object::default() };
            each(row, &json::write(rest, fields.gives, &columns, row), None);
        }
    }
}

fn kept(host: &mut host::Recorder, _: &Fields, input: &Input, each: Each<'_>) {
    for bitmap in std::mem::take(&mut host.keep) {
        assert!(bitmap.len() == input.records.len().div_ceil(8), "a bitmap of {} bytes", bitmap.len());
        for (row, (_, record)) in input.records.iter().enumerate() {
            if columns::bit(&bitmap, row) {
                each(row, record, None);
            }
        }
    }
}

fn flattened(host: &mut host::Recorder, fields: &Fields, input: &Input, each: Each<'_>) {
    for (answer, parents) in std::mem::take(&mut host.field_rows) {
        assert!(answer.rows as usize == parents.len(), "{} rows for {} parents", answer.rows, parents.len());
        let columns = resolve(answer, fields.gives, None);
        for (row, parent) in parents.into_iter().enumerate() {
            let Some((_, record)) = input.records.get(parent as usize) else { continue };
            let rest = if fields.keeps_rest { record.clone() } else { Object::default() };
            each(parent as usize, &json::write(rest, fields.gives, &columns, row), None);
        }
    }
}

fn keyed(host: &mut host::Recorder, _: &Fields, input: &Input, each: Each<'_>) {
    for keys in std::mem::take(&mut host.keys) {
        assert!(keys.len() == input.records.len(), "{} keys for {} records", keys.len(), input.records.len());
        for (row, ((_, record), key)) in input.records.iter().zip(keys.iter()).enumerate() {
            each(row, record, Some(key.to_vec()));
        }
    }
}
