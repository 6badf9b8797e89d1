use std::sync::Arc;

use super::answer::{Answer, Checked, ROW_BYTES};
use super::failure::HostTrap;
use super::field_answer::FieldAnswer;
use sage_batch::fields::{Input, RawField, RawValues, SameField, Schema, Table};
use sage_batch::{Malformed, check_parents};
use sage_plan::Kind;

impl Answer {
    /// Makes this the answer of a guest that reads and gives these fields.
    pub fn set_fields(&mut self, reads: Arc<Schema>, gives: Arc<Schema>) {
        self.fields = Some(Box::new(FieldAnswer::new(reads, gives)));
    }

    /// Sets the table of the next call. `columns` are the columns that the guest reads.
    pub(super) fn input(&mut self, table: &Table, columns: impl Iterator<Item = usize>) {
        if let Some(fields) = &mut self.fields {
            fields.nulls.clear();
            let column = |at: usize| table.fields().get(at).is_some_and(|column| column.validity().is_some());
            fields.nulls.extend(columns.map(column));
        }
    }

    /// As [`Answer::input`], for an answer that another process makes.
    pub(super) fn input_elsewhere(&mut self, table: &Table) {
        if let Some(reads) = self.fields.as_ref().map(|fields| Arc::clone(&fields.reads)) {
            self.input(table, reads.fields().iter().filter_map(|field| table.schema().position(&field.name)));
        }
    }

    /// map and flat-map by field: the new records without the fields that are the same as in the input, and a list of
    /// these. The engine moves the columns out.
    pub fn table(&mut self) -> Option<(&mut Table, &[SameField])> {
        self.fields.as_mut().map(|fields| (&mut fields.table, fields.same.as_slice()))
    }

    pub(super) fn take_table(&mut self, rows: u32, raw: &[RawField<'_>]) -> Checked {
        self.expect_fields(Kind::Map)?;
        self.once()?;
        self.weigh_fields(rows, raw)?;
        let (found, expected) = (rows as usize, self.rows());
        if found != expected {
            return Err(HostTrap::malformed(&Malformed::Count { column: "table", found, expected }));
        }
        let Some(fields) = &mut self.fields else { return Ok(()) };
        let input = Input { schema: &fields.reads, rows: expected, nulls: &fields.nulls };
        let assigned = fields.table.assign(&fields.gives, found, raw, Some(input), &mut fields.same);
        assigned.map_err(|broken| HostTrap::malformed(&broken))
    }

    pub(super) fn take_table_rows(&mut self, rows: u32, raw: &[RawField<'_>], parents: &[u32]) -> Checked {
        self.expect_fields(Kind::FlatMap)?;
        self.weigh_fields(rows, raw)?;
        let found = rows as usize;
        if parents.len() != found {
            let broken = Malformed::Count { column: "parents", found: parents.len(), expected: found };
            return Err(HostTrap::malformed(&broken));
        }
        self.take_parents(parents)?;
        let Some(fields) = &mut self.fields else { return Ok(()) };
        let assigned = fields.piece.assign(&fields.gives, found, raw, None, &mut fields.same);
        assigned.map_err(|broken| HostTrap::malformed(&broken))?;
        fields.table.append_range(&fields.piece, 0, found);
        Ok(())
    }

    /// flat-map: checks and adds the parents of more outputs, and counts the bytes that these inherit.
    pub(super) fn take_parents(&mut self, parents: &[u32]) -> Checked {
        let floor = self.parents.last().copied().unwrap_or(0);
        check_parents("parents", parents, self.rows(), floor).map_err(|e| HostTrap::malformed(&e))?;
        let inherited = self.inherited_by(parents);
        self.count(inherited.saturating_add(ROW_BYTES * parents.len() as u64))?;
        self.parents.extend_from_slice(parents);
        Ok(())
    }

    /// Counts the columns of an answer against the limits. They are not checked yet.
    fn weigh_fields(&mut self, rows: u32, raw: &[RawField<'_>]) -> Checked {
        let mut bytes = ROW_BYTES * u64::from(rows);
        for field in raw {
            bytes += field.validity.map_or(0, |bits| bits.len() as u64) + size_of::<RawField<'_>>() as u64;
            match field.values {
                RawValues::Strings(offsets, text) => self.weigh("a text of a field", offsets, text)?,
                values => bytes += values.byte_len() as u64,
            }
        }
        self.count(bytes)
    }
}
