use super::answer::Answer;
use sage_batch::fields::{FieldColumn, Schema, Table};
use sage_batch::{Batch, Column};
use sage_plan::{Kind, RecordShape, Rest};

impl Answer {
    /// Sets the batch of the next call. The outputs of a flat-map inherit keys and headers, and the outputs of an
    /// operator by field may keep the fields that it does not give. These bytes count towards the bytes that the call
    /// sends: a long key times a hundred thousand outputs could exhaust the host's memory.
    pub(super) fn inherit_from(&mut self, batch: &Batch) {
        self.inherited.clear();
        if self.kind == Kind::FlatMap {
            let columns = [batch.keys(), batch.headers()];
            if columns.iter().any(Option::is_some) {
                let length = |column: &Column, row| column.get(row).map_or(0, |entry| entry.len() as u64);
                let sum = |row| columns.iter().flatten().map(|column| length(column, row)).sum::<u64>();
                self.inherited.extend((0..batch.len()).map(sum));
            }
        }
        if let (Kind::FlatMap | Kind::Process, Some(fields), Some(table)) = (self.kind, &self.fields, batch.table()) {
            let outputs = fields.ports.iter().map(|(gives, rest)| (gives.as_ref(), *rest));
            let kept = kept_columns(outputs, table);
            if !kept.is_empty() {
                self.inherited.resize(batch.len(), 0);
                add_bytes(table, &kept, &mut self.inherited);
            }
        }
    }

    /// As [`Answer::inherit_from`], with bytes that were counted elsewhere.
    pub(super) fn set_inherited(&mut self, bytes: &[u32]) {
        self.inherited.clear();
        self.inherited.extend(bytes.iter().copied().map(u64::from));
    }

    /// Bytes that outputs of these input records inherit.
    pub(super) fn inherited_by(&self, parents: &[u32]) -> u64 {
        let inherited = |&parent: &u32| self.inherited.get(parent as usize).copied().unwrap_or(0);
        parents.iter().map(inherited).fold(0, u64::saturating_add)
    }
}

/// Bytes of the fields that an output of each record of a process by field may keep. Empty if the process keeps no
/// fields.
pub fn kept_bytes(shape: &RecordShape, table: &Table) -> Vec<u32> {
    let kept = kept_columns(shape.outputs().map(|(gives, rest)| (gives.as_ref(), rest)), table);
    if kept.is_empty() {
        return Vec::new();
    }
    let mut bytes = vec![0; table.len()];
    add_bytes(table, &kept, &mut bytes);
    bytes.into_iter().map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX)).collect()
}

/// The columns that an output may keep: those that some output with the other fields of its input does not give. If
/// several outputs keep fields, a record counts all columns that one of them keeps.
fn kept_columns<'s, 't>(outputs: impl Iterator<Item = (&'s Schema, Rest)>, table: &'t Table) -> Vec<&'t FieldColumn> {
    let keeping: Vec<&Schema> = outputs.filter(|(_, rest)| *rest == Rest::Keep).map(|(gives, _)| gives).collect();
    let columns = table.schema().fields().iter().zip(table.fields());
    let kept = columns.filter(|(field, _)| keeping.iter().any(|gives| gives.position(&field.name).is_none()));
    kept.map(|(_, column)| column).collect()
}

fn add_bytes(table: &Table, columns: &[&FieldColumn], bytes: &mut [u64]) {
    for (row, bytes) in bytes.iter_mut().enumerate().take(table.len()) {
        *bytes += columns.iter().map(|column| column.value_bytes(row) as u64).sum::<u64>();
    }
}
