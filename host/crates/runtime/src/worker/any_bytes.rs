//! The readers of messages from a worker or a device process, for arbitrary bytes. The fuzz targets in
//! `tests/fuzz` use them. So does the test below, which feeds their corpus and mutations of it to the same
//! functions. Compiled for these two uses only.

use std::sync::Arc;

use super::message::{Report, get_progress};
use super::tensor_wire::{get_named, get_outcome, get_tensors};
use sage_batch::fields::{Cell, DataType, Element, FieldColumn, FieldType, Members, Schema, Table};
use sage_batch::wire::{WireError, WireReader, view};
use sage_batch::{Batch, Column, Origin, Record};
use sage_machine::MemoryBudget;
use sage_plan::{Kind, Limits, RecordShape, Rest, SideShape};
use sage_sandbox::{Answer, KeyedState};

/// A reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyBytes {
    /// `batch::wire`.
    Batch,
    /// `sandbox::answer_wire`: the first byte chooses the operator's kind, and from 200 on an answer by field.
    Answer,
    /// `worker::message`.
    Report,
    /// `sandbox::state_changes`.
    StateChanges,
    /// `worker::tensor_wire`: the first byte chooses the reader of this module.
    Tensors,
}

/// Maximum bytes of a column, a batch or an answer in these tests.
const MOST: u64 = 64 << 10;

impl AnyBytes {
    /// All readers.
    pub const ALL: [Self; 5] = [Self::Batch, Self::Answer, Self::Report, Self::StateChanges, Self::Tensors];

    /// The name of the fuzz target, and of the folder of its corpus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch_wire",
            Self::Answer => "answer_wire",
            Self::Report => "message",
            Self::StateChanges => "state_changes",
            Self::Tensors => "tensor_wire",
        }
    }

    /// Reads `bytes` and returns `true` if they are a message. An accepted message follows the rules of the
    /// contract. A rejected message changes nothing.
    ///
    /// # Panics
    /// The reader broke this promise.
    pub fn read(self, bytes: &[u8]) -> bool {
        match self {
            Self::Batch => batch(bytes),
            Self::Answer => bytes.split_first().is_some_and(|(&kind, rest)| answer(kind, rest)),
            Self::Report => {
                let from = &mut Message(bytes);
                Report::read(from).is_ok_and(|_| from.0.is_empty() || get_progress(from).is_ok())
            }
            Self::StateChanges => state_changes(bytes),
            Self::Tensors => bytes.split_first().is_some_and(|(&which, rest)| tensors(which, rest)),
        }
    }
}

/// A message in a slice.
struct Message<'a>(&'a [u8]);

impl WireReader for Message<'_> {
    fn get(&mut self, into: &mut [u8]) -> Result<(), WireError> {
        let (taken, rest) = self.0.split_at_checked(into.len()).ok_or(WireError::Gone)?;
        into.copy_from_slice(taken);
        self.0 = rest;
        Ok(())
    }

    fn append(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(WireError::Gone)?;
        into.extend_from_slice(taken);
        self.0 = rest;
        Ok(())
    }
}

fn batch(bytes: &[u8]) -> bool {
    // In the ring, a request begins at a multiple of 8.
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    let words: &mut [u8] = bytemuck::cast_slice_mut(&mut aligned);
    words.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let _ = view(bytemuck::cast_slice(&aligned));
    let mut batch = Batch::new();
    let read = batch.read(&mut Message(bytes), MOST);
    assert!(read.is_ok() || batch.is_empty(), "a refused batch is empty");
    is_sound(&batch);
    read.is_ok()
}

fn is_sound(batch: &Batch) {
    let column = |column: &Column| {
        assert_eq!(column.len(), batch.len(), "as many entries as records");
        assert_eq!(column.iter().map(<[u8]>::len).sum::<usize>(), column.byte_len(), "each byte is an entry's");
    };
    [Some(batch.payloads()), batch.keys(), batch.headers()].into_iter().flatten().for_each(column);
    assert!(batch.timestamps().is_none_or(|times| times.len() == batch.len()), "as many times as records");
}

/// The input of the answers: three records, with keys that the outputs of a flat-map inherit.
fn asked() -> Batch {
    let mut batch = Batch::new();
    for payload in [&b"one"[..], b"", b"three"] {
        let record = Record { key: Some(b"key"), ..Record::of(payload, Origin::NONE) };
        assert!(batch.push(record), "records of one shape");
    }
    batch
}

/// The fields on the outputs of an operator by field: a text and a number that may be null, or a list and a struct of
/// these; and the first of the two alone.
fn two_outputs(nested: bool) -> (Arc<Schema>, Arc<Schema>) {
    let field =
        |name: &str, data_type, nullable| FieldType { name: name.to_owned(), data_type, nullable, docs: String::new() };
    let (text, number) = (field("text", DataType::String, false), field("number", DataType::S64, true));
    let place = Members::new(vec![text.clone(), number.clone()]).map(DataType::from);
    let list = Element::new(DataType::String, true).map(DataType::from);
    let (first, second) = match (list, place) {
        (Some(list), Ok(place)) if nested => (field("list", list, true), field("place", place, false)),
        _ => (text, number),
    };
    let schema = |fields: Vec<FieldType>| Arc::new(Schema::new(fields).unwrap_or_default());
    (schema(vec![first.clone(), second]), schema(vec![first]))
}

/// The kinds whose answers by field have tables.
const BY_FIELD: [Kind; 5] = [Kind::Map, Kind::FlatMap, Kind::Process, Kind::Source, Kind::Window];

/// An answer by field: the operator reads and gives the two fields of [`two_outputs`]. A process or source has a side
/// output with the first alone, on which a process keeps the second.
fn answer_by_field(kind: Kind, nested: bool, bytes: &[u8]) -> bool {
    let (schema, side) = two_outputs(nested);
    let (mut asked, mut table) = (asked(), Table::new(Arc::clone(&schema)));
    for text in ["a", "", "c"] {
        table.field_mut(0).into_iter().for_each(|column| {
            column.push_str(text);
            column.elements_mut().into_iter().for_each(|elements| elements.push_str(text));
            column.end_list();
        });
        table.field_mut(1).into_iter().for_each(|column| {
            column.push_s64(1);
            column.member_mut(0).into_iter().for_each(|member| member.push_str(text));
            column.member_mut(1).into_iter().for_each(|member| member.push_s64(1));
            column.end_struct();
        });
        assert!(table.finish_row(), "a value for each field");
    }
    asked.set_fields(&mut table);
    let limits = Limits { output_bytes_per_call: MOST, record_bytes: MOST / 4, ..Limits::default() };
    let mut answer = Answer::new(kind, &limits);
    let rest = if kind == Kind::Process { Rest::Keep } else { Rest::Drop };
    let sides = vec![SideShape { name: "side".to_owned(), gives: side, rest }];
    answer.set_fields(&RecordShape { reads: Arc::clone(&schema), gives: schema, rest: Rest::Drop, sides });
    answer.set_ports(1);
    let Ok(Ok(())) = answer.read(&asked, &mut Message(bytes)) else { return false };
    let (rows, parents) = (asked.len(), answer.parents().to_vec());
    for emission in answer.emissions() {
        is_sound(&emission.batch);
        let table = emission.batch.table();
        assert_eq!(table.map(Table::len), Some(emission.batch.len()), "a row for each record");
        let parents = emission.parents.as_ref();
        assert!(parents.is_none_or(|parents| parents.len() == emission.batch.len()), "a parent for each record");
        assert!(parents.into_iter().flatten().all(|&parent| (parent as usize) < rows), "a parent out of range");
        let keeps = kind == Kind::Process && emission.port == 1 && !emission.batch.is_empty();
        assert!(emission.port <= 1 && (!keeps || parents.is_some()), "port {}", emission.port);
        is_sound_table(table);
    }
    if matches!(kind, Kind::Process | Kind::Window | Kind::Source) {
        return true;
    }
    assert!(parents.is_sorted() && parents.iter().all(|&parent| (parent as usize) < rows), "{parents:?}");
    let Some((table, same)) = answer.table() else { return false };
    assert!(if kind == Kind::Map { table.len() == rows || table.is_empty() } else { table.len() == parents.len() });
    for (at, column) in table.fields().iter().enumerate() {
        let same = same.iter().find(|field| field.to == at);
        assert!(column.len() == table.len() || same.is_some_and(|field| field.from < 2 && kind == Kind::Map));
        is_sound_column(column, column.len());
    }
    true
}

fn is_sound_table(table: Option<&Table>) {
    for column in table.into_iter().flat_map(Table::fields) {
        assert_eq!(Some(column.len()), table.map(Table::len), "a value for each row");
        is_sound_column(column, column.len());
    }
}

fn is_sound_column(column: &FieldColumn, rows: usize) {
    for column in column.inside().iter().chain([column]) {
        for row in 0..column.len() {
            match column.cell(row) {
                Some(Cell::Bytes(text)) => assert!(std::str::from_utf8(text).is_ok(), "a text"),
                Some(Cell::List { start, end }) => {
                    let elements = column.inside().first().map_or(0, FieldColumn::len);
                    assert!(start <= end && end <= elements, "elements {start} to {end} of {elements}");
                }
                Some(Cell::Struct) => assert!(column.inside().iter().all(|member| member.len() == rows)),
                _ => {}
            }
        }
    }
}

fn answer(kind: u8, bytes: &[u8]) -> bool {
    // From 200 on the kinds in turn, first with plain fields, then with nested ones.
    let which = usize::from(kind).wrapping_sub(200);
    let nested = which >= BY_FIELD.len();
    if let Some(&kind) = BY_FIELD.get(which - if nested { BY_FIELD.len() } else { 0 }) {
        return answer_by_field(kind, nested, bytes);
    }
    let Some(&kind) = Kind::ALL.get(usize::from(kind) % Kind::ALL.len()) else { return false };
    let limits = Limits { output_bytes_per_call: MOST, record_bytes: MOST / 4, ..Limits::default() };
    let mut answer = Answer::new(kind, &limits);
    answer.set_ports(2);
    let asked = asked();
    let Ok(Ok(())) = answer.read(&asked, &mut Message(bytes)) else { return false };
    let rows = asked.len();
    let rejected: Vec<usize> = answer.rejected().map(|(row, _)| row).collect();
    assert!(rejected.is_sorted_by(|a, b| a < b) && rejected.iter().all(|&row| row < rows), "{rejected:?}");
    match kind {
        Kind::Map | Kind::KeyBy => assert_eq!(answer.column().len(), rows, "an entry for each record"),
        Kind::Filter => assert!(answer.kept().count() <= rows, "no more are kept than there are"),
        Kind::FlatMap => {
            let (payloads, parents) = answer.rows_parts();
            assert_eq!(payloads.len(), parents.len(), "a parent for each payload");
            assert!(parents.is_sorted() && parents.iter().all(|&parent| (parent as usize) < rows), "{parents:?}");
        }
        Kind::Process | Kind::Source | Kind::Window => {
            let late = answer.late();
            assert!(late.is_sorted_by(|a, b| a < b) && late.iter().all(|&row| (row as usize) < rows), "{late:?}");
            for emission in answer.emissions() {
                is_sound(&emission.batch);
                assert!(emission.port <= 2, "port {}", emission.port);
                let parents = emission.parents.iter().flatten();
                assert!(parents.clone().all(|&parent| (parent as usize) < rows), "a parent out of range");
                assert!(emission.parents.as_ref().is_none_or(|parents| parents.len() == emission.batch.len()));
            }
        }
        Kind::Sink => {}
    }
    true
}

fn state_changes(bytes: &[u8]) -> bool {
    let budget = Arc::new(MemoryBudget::new(MOST));
    let mut state = KeyedState::new(Arc::clone(&budget));
    let known = [&b"T\x01\0\0\0t"[..], b"P\x01\0\0\0k\x02\0\0\0v1", b"E\x01\0\0\0k\x01\0\0\0s\x01\0\0\0v"].concat();
    assert!(state.play(&known).is_ok(), "the changes of a worker are played");
    let before = contents(&state);
    let played = state.play(bytes).is_ok();
    assert!(budget.used() <= budget.cap(), "{} of {}", budget.used(), budget.cap());
    assert!(played || contents(&state) == before, "changes that are refused change nothing");
    drop(state);
    assert_eq!(budget.used(), 0, "all memory is given back");
    played
}

fn contents(state: &KeyedState) -> Vec<u8> {
    let mut all = Vec::new();
    let copied: Result<(), std::convert::Infallible> = state.copy_out(|chunk| {
        all.extend_from_slice(chunk);
        Ok(())
    });
    copied.map_or_else(|never| match never {}, |()| all)
}

fn tensors(which: u8, bytes: &[u8]) -> bool {
    let from = &mut Message(bytes);
    let sound = |shape: &[usize], bytes: usize, size: usize| {
        assert_eq!(shape.iter().product::<usize>() * size, bytes, "as many bytes as the shape says");
    };
    match which % 3 {
        0 => get_tensors(from).is_ok_and(|tensors| {
            tensors.iter().for_each(|tensor| sound(tensor.shape(), tensor.bytes().len(), tensor.dtype().size()));
            true
        }),
        1 => get_named(from, MOST).is_ok_and(|named| {
            let bytes = named.iter().map(|named| named.tensor.bytes().len() as u64).sum::<u64>();
            assert!(bytes <= MOST, "{bytes} bytes of tensors");
            true
        }),
        _ => get_outcome(from).is_ok(),
    }
}

#[cfg(test)]
#[path = "any_bytes_tests.rs"]
mod tests;
