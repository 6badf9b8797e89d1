use std::sync::Arc;

use sage_batch::fields::{RawTable, SameField, Schema, Table};
use sage_batch::wire::{WireError, WireReader, WireWriter, get_small, put_u64};
use sage_plan::{RecordShape, Rest};

/// The part of an answer that has fields: that of a guest whose records are by field.
#[derive(Debug)]
pub(super) struct FieldAnswer {
    pub(super) reads: Arc<Schema>,
    pub(super) gives: Arc<Schema>,
    /// process and source: the fields of each port, and what becomes of the other fields there.
    pub(super) ports: Vec<(Arc<Schema>, Rest)>,
    /// Whether each field that the guest reads has nulls in this call.
    pub(super) nulls: Vec<bool>,
    pub(super) table: Table,
    pub(super) same: Vec<SameField>,
    /// The rows of one call of `rows` or `emit`, before they join the others.
    pub(super) piece: Table,
}

impl FieldAnswer {
    pub(super) fn new(shape: &RecordShape) -> Self {
        let (reads, gives) = (Arc::clone(&shape.reads), Arc::clone(&shape.gives));
        let ports = shape.outputs().map(|(gives, rest)| (Arc::clone(gives), rest)).collect();
        let table = Table::new(Arc::clone(&gives));
        Self { reads, gives, ports, nulls: Vec::new(), table, same: Vec::new(), piece: Table::default() }
    }

    /// The fields of a port, and what becomes of the other fields there.
    pub(super) fn port(&self, port: u32) -> Option<(Arc<Schema>, Rest)> {
        self.ports.get(port as usize).map(|(schema, rest)| (Arc::clone(schema), *rest))
    }

    pub(super) fn begin(&mut self) {
        self.table.reset(&self.gives);
        self.same.clear();
    }

    pub(super) fn capacity(&self) -> usize {
        self.table.capacity() + self.piece.capacity()
    }

    /// Appends the table: the number of the same fields, each with its two numbers, and the others.
    pub(super) fn write(&self, to: &mut impl WireWriter) -> Result<(), WireError> {
        put_u64(to, self.same.len() as u64)?;
        for field in &self.same {
            put_u64(to, field.to as u64)?;
            put_u64(to, field.from as u64)?;
        }
        let is_same = |at: usize| self.same.iter().any(|field| field.to == at);
        self.table.write((0..self.gives.fields().len()).filter(|&at| !is_same(at)), to)
    }

    /// Reads a table that another process wrote: read, but not yet checked against the call. No column has more
    /// than `limit` bytes.
    pub(super) fn read(&mut self, from: &mut impl WireReader, limit: u64) -> Result<ReceivedTable, WireError> {
        let count: u32 = get_small(from)?;
        let fields = self.gives.fields().len();
        if count as usize > fields {
            return Err(WireError::broken(format!("{count} of {fields} fields are the same")));
        }
        let mut same = Vec::new();
        for _ in 0..count {
            let (to, from): (u32, u32) = (get_small(from)?, get_small(from)?);
            same.push(SameField { to: to as usize, from: from as usize });
        }
        let mut table = std::mem::take(&mut self.piece);
        table.read(&self.gives, &same, from, limit)?;
        Ok(ReceivedTable { table, same })
    }

    pub(super) fn give_up_buffers(&mut self) {
        self.table = Table::new(Arc::clone(&self.gives));
        self.piece = Table::default();
    }
}

/// A table from another process.
pub(super) struct ReceivedTable {
    table: Table,
    same: Vec<SameField>,
}

impl ReceivedTable {
    /// Number of rows.
    pub(super) fn rows(&self) -> u32 {
        u32::try_from(self.table.len()).unwrap_or(u32::MAX)
    }

    /// The table, as a guest would send it.
    pub(super) fn raw(&self) -> RawTable<'_> {
        self.table.as_raw(&self.same)
    }
}
