//! The loops of a call, over the records of a table.

use super::{CHUNK, Columns, FromFields, Inputs, IntoFields, RecordOut, Table};
use crate::operator::{FLUSH_BYTES, Failures};
use crate::types::Column;
use crate::{Error, host};

/// Number of output rows at which a flat-map gives them to the host.
const FLUSH_ROWS: usize = 4096;

/// A call of an operator that takes records by field.
#[derive(Debug)]
pub struct TableCall<'a> {
    table: &'a Table,
    failures: &'a mut Failures,
}

/// The place of an output record.
#[derive(Debug)]
pub struct Slot<'s, 'o, O: RecordOut> {
    chunk: &'s mut O::Chunk<'o>,
    row: usize,
}

impl<O: RecordOut> Slot<'_, '_, O> {
    /// Writes the record.
    #[inline(always)]
    pub fn put<G: IntoFields<Out = O>>(self, record: G) {
        record.put(self.chunk, self.row);
    }
}

/// A loop over the rows of a chunk: one for rows that all have their values, and one for others.
macro_rules! rows {
    ($chunk:expr, $record:ident, |$row:ident, $whole:ident| $each:expr) => {
        if $record::whole(&$chunk, u32::MAX) {
            const $whole: bool = true;
            for $row in 0..CHUNK {
                $each
            }
        } else {
            const $whole: bool = false;
            for $row in 0..CHUNK {
                $each
            }
        }
    };
}

impl<'a> TableCall<'a> {
    pub(crate) fn new(table: &'a Table, failures: &'a mut Failures) -> Self {
        Self { table, failures }
    }

    /// Answers each record with a record. An error rejects the record.
    #[inline(always)]
    pub fn map<R: FromFields<'a>, O: RecordOut>(self, mut map: impl FnMut(R, Slot<'_, '_, O>) -> Result<(), Error>) {
        let Self { table, failures } = self;
        let columns = Columns::<R>::of(table);
        let inputs = Inputs { types: R::FIELDS, fields: &table.fields, rejected: &[] };
        let mut out = O::begin(columns.rows());
        let whole = columns.rows() / CHUNK;
        for at in 0..whole {
            let chunk = columns.chunk(at);
            let mut into = out.chunk(at, inputs);
            rows!(chunk, R, |row, WHOLE| {
                if let Err(error) = map(R::in_chunk::<WHOLE>(&chunk, row), Slot { chunk: &mut into, row }) {
                    failures.reject(at * CHUNK + row, &error);
                    O::skip(&mut into, row);
                }
            });
        }
        if !columns.rows().is_multiple_of(CHUNK) {
            let mut into = out.chunk(whole, inputs);
            for row in whole * CHUNK..columns.rows() {
                let place = row % CHUNK;
                if let Err(error) = map(columns.get(row), Slot { chunk: &mut into, row: place }) {
                    failures.reject(row, &error);
                    O::skip(&mut into, place);
                }
            }
        }
        host::columns(&finished(out, columns.rows(), Inputs { rejected: failures.rows(), ..inputs }));
    }

    /// As [`TableCall::map`], for records that live as long as the call. They are written 32 at a time.
    #[inline(always)]
    pub fn map_together<R: FromFields<'a>, G: IntoFields>(self, mut map: impl FnMut(R) -> Result<G, Error>) {
        let Self { table, failures } = self;
        let columns = Columns::<R>::of(table);
        let inputs = Inputs { types: R::FIELDS, fields: &table.fields, rejected: &[] };
        let mut out = G::Out::begin(columns.rows());
        let whole = columns.rows() / CHUNK;
        let mut turn = out.turn(inputs);
        for at in 0..whole {
            let chunk = columns.chunk(at);
            G::Out::next_turn(&mut turn, at);
            rows!(chunk, R, |row, WHOLE| {
                match map(R::in_chunk::<WHOLE>(&chunk, row)) {
                    Ok(record) => record.keep(&mut turn, row),
                    Err(error) => {
                        failures.reject(at * CHUNK + row, &error);
                        G::Out::skip_in_turn(&mut turn, row);
                    }
                }
            });
            G::Out::end(&mut turn);
        }
        drop(turn);
        if !columns.rows().is_multiple_of(CHUNK) {
            let mut into = out.chunk(whole, inputs);
            for row in whole * CHUNK..columns.rows() {
                match map(columns.get(row)) {
                    Ok(record) => record.put(&mut into, row % CHUNK),
                    Err(error) => {
                        failures.reject(row, &error);
                        G::Out::skip(&mut into, row % CHUNK);
                    }
                }
            }
        }
        host::columns(&finished(out, columns.rows(), Inputs { rejected: failures.rows(), ..inputs }));
    }

    /// Keeps the records for which `keep` answers `true`. An error rejects the record.
    #[inline(always)]
    pub fn filter<R: FromFields<'a>>(self, mut keep: impl FnMut(R) -> Result<bool, Error>) {
        let Self { table, failures } = self;
        let columns = Columns::<R>::of(table);
        let mut bitmap = Vec::with_capacity(columns.rows().div_ceil(8));
        let whole = columns.rows() / CHUNK;
        let mut judge = |record, row: usize| match keep(record) {
            Ok(keep) => u8::from(keep) << (row % 8),
            Err(error) => {
                failures.reject(row, &error);
                0
            }
        };
        for at in 0..whole {
            let chunk = columns.chunk(at);
            for group in 0..CHUNK / 8 {
                // The loop collects the bits of only eight records: the compiler does not unroll longer loops.
                let (first, mut bits) = (8 * group, 0);
                if R::whole(&chunk, 0xff << first) {
                    for row in first..first + 8 {
                        bits |= judge(R::in_chunk::<true>(&chunk, row), at * CHUNK + row);
                    }
                } else {
                    for row in first..first + 8 {
                        bits |= judge(R::in_chunk::<false>(&chunk, row), at * CHUNK + row);
                    }
                }
                bitmap.push(bits);
            }
        }
        for row in whole * CHUNK..columns.rows() {
            if row % 8 == 0 {
                bitmap.push(0);
            }
            let bit = judge(columns.get(row), row);
            if let Some(bits) = bitmap.last_mut() {
                *bits |= bit;
            }
        }
        host::keep(&bitmap);
    }

    /// Answers each record with its key, which `key` appends. An error rejects the record.
    #[inline(always)]
    pub fn key_by<R: FromFields<'a>>(self, mut key: impl FnMut(R, &mut Vec<u8>) -> Result<(), Error>) {
        let Self { table, failures } = self;
        let columns = Columns::<R>::of(table);
        let mut keys = Column::new();
        for row in 0..columns.rows() {
            let before = keys.bytes.len();
            if let Err(error) = key(columns.get(row), &mut keys.bytes) {
                keys.bytes.truncate(before);
                failures.reject(row, &error);
            }
            keys.seal();
        }
        host::keys(&keys);
    }

    /// Answers each record with any number of records. An error rejects the record and takes its outputs back.
    #[inline(always)]
    pub fn flat_map<R: FromFields<'a>, O: RecordOut>(
        self,
        mut flat_map: impl FnMut(R, &mut OutputRows<O>) -> Result<(), Error>,
    ) {
        let Self { table, failures } = self;
        let columns = Columns::<R>::of(table);
        let mut rows = OutputRows { out: O::begin(CHUNK), parents: Vec::new(), parent: 0 };
        for row in 0..columns.rows() {
            let before = rows.parents.len();
            rows.parent = row as u32;
            if let Err(error) = flat_map(columns.get(row), &mut rows) {
                rows.parents.truncate(before);
                rows.out.truncate(before);
                failures.reject(row, &error);
            }
            // Rows go to the host only between records: a record that is rejected half-way must leave nothing behind.
            if rows.parents.len() >= FLUSH_ROWS || rows.out.bytes() >= FLUSH_BYTES {
                rows = rows.tell();
            }
        }
        rows.tell();
    }
}

/// The output records of a flat-map that have not yet gone to the host.
#[derive(Debug)]
pub struct OutputRows<O> {
    out: O,
    parents: Vec<u32>,
    parent: u32,
}

impl<O: RecordOut> OutputRows<O> {
    /// Appends an output record of the record being processed.
    #[inline(always)]
    pub fn push<G: IntoFields<Out = O>>(&mut self, record: G) {
        let row = self.parents.len();
        if row.is_multiple_of(CHUNK) {
            self.out.grow(row + CHUNK);
        }
        // No input: an output row has no input row of its own.
        record.put(&mut self.out.chunk(row / CHUNK, Inputs::NONE), row % CHUNK);
        self.parents.push(self.parent);
    }

    /// Gives the rows to the host.
    fn tell(self) -> Self {
        let Self { out, mut parents, parent } = self;
        if parents.is_empty() {
            return Self { out, parents, parent };
        }
        host::field_rows(&finished(out, parents.len(), Inputs::NONE), &parents);
        parents.clear();
        Self { out: O::begin(CHUNK), parents, parent }
    }
}

fn finished<O: RecordOut>(out: O, rows: usize, inputs: Inputs<'_>) -> Table {
    let mut children = Vec::new();
    let fields = out.finish(rows, inputs, &mut children);
    Table { rows: rows as u32, fields, children }
}

/// Returns the table of these records, for tests.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn table<G: IntoFields>(records: impl IntoIterator<Item = G>) -> Table {
    let mut rows = OutputRows { out: G::Out::begin(CHUNK), parents: Vec::new(), parent: 0 };
    for record in records {
        rows.push(record);
    }
    let count = rows.parents.len();
    finished(rows.out, count, Inputs::NONE)
}
