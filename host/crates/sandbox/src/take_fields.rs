use std::sync::Arc;

use super::answer::{Answer, Checked, Emission, ROW_BYTES};
use super::failure::{FailureCode, HostTrap};
use super::field_answer::FieldAnswer;
use sage_batch::fields::{Input, RawField, RawTable, RawValues, SameField, Table};
use sage_batch::{Malformed, RawColumns, check_parents};
use sage_plan::{Kind, RecordShape, Rest};

impl Answer {
    /// Makes this the answer of a guest that reads and gives these fields.
    pub fn set_fields(&mut self, shape: &RecordShape) {
        self.fields = Some(Box::new(FieldAnswer::new(shape)));
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

    pub(super) fn take_table(&mut self, rows: u32, raw: &RawTable<'_>) -> Checked {
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

    pub(super) fn take_table_rows(&mut self, rows: u32, raw: &RawTable<'_>, parents: &[u32]) -> Checked {
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

    /// process and source by field: records of one call of `emit`. The payloads of `columns` are ignored.
    pub(super) fn take_field_emission(
        &mut self,
        port: u32,
        (rows, raw): (u32, &RawTable<'_>),
        columns: RawColumns<'_>,
        parents: Option<&[u32]>,
    ) -> Checked {
        let kind = if matches!(self.kind, Kind::Source | Kind::Window) { self.kind } else { Kind::Process };
        self.expect_fields(kind)?;
        self.may_emit(parents)?;
        self.check_port(port)?;
        // Each emission costs the host a batch, even if the batch is small.
        self.count(size_of::<Emission>() as u64)?;
        self.weigh_fields(rows, raw)?;
        for (name, column) in [("keys", columns.keys), ("headers", columns.headers)] {
            if let Some((offsets, bytes)) = column {
                self.weigh(name, offsets, bytes)?;
            }
        }
        let Some(fields) = &mut self.fields else { return Ok(()) };
        let Some((schema, rest)) = fields.port(port) else { return Ok(()) };
        let found = rows as usize;
        let assigned = fields.piece.assign(&schema, found, raw, None, &mut fields.same);
        assigned.map_err(|broken| HostTrap::malformed(&broken))?;
        let mut table = std::mem::take(&mut fields.piece);
        let expected = self.rows();
        let emission = self.next_emission();
        emission.port = port;
        let assigned = emission.batch.assign_by_field(&mut table, columns);
        assigned.map_err(|broken| HostTrap::malformed(&broken))?;
        emission.set_parents(parents, found, expected)?;
        if let Some(fields) = &mut self.fields {
            fields.piece = table;
        }
        match (rest, parents) {
            (Rest::Drop, _) => self.check_sizes(&[])?,
            (Rest::Keep, Some(parents)) => {
                self.count(self.inherited_by(parents))?;
                self.check_sizes(parents)?;
            }
            (Rest::Keep, None) if rows == 0 => {}
            (Rest::Keep, None) => {
                let message = format!(
                    "emit: port {port} keeps the other fields of its input records, so each record needs a parent"
                );
                return Err(HostTrap::error(FailureCode::Malformed, message));
            }
        }
        self.emitted += 1;
        Ok(())
    }

    /// Checks that each record of the next emission is within the limit, with its key and headers, and with the fields
    /// that it keeps of its parent.
    fn check_sizes(&self, parents: &[u32]) -> Checked {
        let Some(Emission { batch, .. }) = self.emissions.get(self.emitted) else { return Ok(()) };
        let Some(table) = batch.table() else { return Ok(()) };
        let beside = [batch.keys(), batch.headers()];
        // The sum of everything is the bound of each record, which is nearly always enough.
        let own = table.weight() + beside.iter().flatten().map(|column| column.byte_len()).sum::<usize>();
        if (own as u64).saturating_add(self.inherited_by(parents)) <= self.record_limit {
            return Ok(());
        }
        let size = |row: usize| {
            let own = table.fields().iter().map(|column| column.value_bytes(row)).sum::<usize>();
            let beside = beside.iter().flatten().map(|column| column.get(row).map_or(0, <[u8]>::len)).sum::<usize>();
            let kept = parents.get(row).map_or(0, |&parent| self.inherited_by(&[parent]));
            ((own + beside) as u64).saturating_add(kept)
        };
        match (0..table.len()).map(|row| (row, size(row))).find(|(_, size)| *size > self.record_limit) {
            None => Ok(()),
            Some((row, size)) => {
                let limit = self.record_limit;
                let message = format!(
                    "emitted record {row} has {size} bytes with its key and headers, more than record_bytes ({limit})"
                );
                Err(HostTrap::error(FailureCode::RecordTooLarge, message))
            }
        }
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
    fn weigh_fields(&mut self, rows: u32, raw: &RawTable<'_>) -> Checked {
        let mut bytes = ROW_BYTES * u64::from(rows);
        for field in raw.fields.iter().chain(&raw.children) {
            bytes += field.validity.map_or(0, |bits| bits.len() as u64) + size_of::<RawField<'_>>() as u64;
            match field.values {
                RawValues::Strings(offsets, text) => self.weigh("a text of a field", offsets, text)?,
                values => bytes += values.byte_len() as u64,
            }
        }
        self.count(bytes)
    }
}
