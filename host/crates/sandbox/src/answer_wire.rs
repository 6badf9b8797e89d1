use super::answer::{Answer, Call};
use super::failure::Failure;
use super::field_answer::ReceivedTable;
use super::printed::Printed;
use super::received_answer::{Received, ReceivedEmission};
use sage_batch::Batch;
use sage_batch::wire::{
    WireError, WireReader, WireWriter, get_small, get_u64, put_bytes, put_column, put_u32s, put_u64,
};
use sage_plan::Kind;

impl Answer {
    /// Appends the guest's output, for another process to [`Answer::read`].
    ///
    /// # Errors
    /// As [`WireWriter::put`].
    pub fn write(&self, to: &mut impl WireWriter) -> Result<(), WireError> {
        match (self.kind, &self.fields) {
            (Kind::Map, Some(fields)) => {
                put_u64(to, self.answered.into())?;
                if self.answered {
                    fields.write(to)?;
                }
            }
            (Kind::FlatMap, Some(fields)) => {
                fields.write(to)?;
                put_u32s(to, &self.parents)?;
            }
            (Kind::Map | Kind::KeyBy, _) => {
                put_u64(to, self.answered.into())?;
                if self.answered {
                    put_column(to, &self.column)?;
                }
            }
            (Kind::Filter, _) => {
                put_u64(to, self.answered.into())?;
                put_bytes(to, &self.bitmap)?;
            }
            (Kind::FlatMap, None) => {
                put_column(to, &self.column)?;
                put_u32s(to, &self.parents)?;
            }
            (Kind::Process | Kind::Source | Kind::Window, _) => {
                put_u64(to, self.emitted as u64)?;
                for emission in self.emissions.iter().take(self.emitted) {
                    put_u64(to, emission.port.into())?;
                    match emission.batch.table() {
                        Some(table) => emission.batch.write_by_field(0..table.fields().len(), to)?,
                        None => emission.batch.write(to, true)?,
                    }
                    put_u64(to, emission.parents.is_some().into())?;
                    if let Some(parents) = &emission.parents {
                        put_u32s(to, parents)?;
                    }
                }
            }
            (Kind::Sink, _) => {}
        }
        if self.kind == Kind::Window {
            put_u32s(to, &self.late)?;
        }
        put_u32s(to, &self.rejected)?;
        if !self.rejected.is_empty() {
            put_column(to, &self.messages)?;
        }
        Ok(())
    }

    /// Reads the answer that another process wrote to a call over `batch`. The answer is checked like a
    /// guest's: that process is trusted no more than its guest.
    ///
    /// # Errors
    /// Outer error: the message cannot be read to its end. Inner error: the answer breaks the contract or a
    /// limit.
    pub fn read(&mut self, batch: &Batch, from: &mut impl WireReader) -> Result<Result<(), Failure>, WireError> {
        self.inherit_from(batch);
        if let Some(table) = batch.table() {
            self.input_elsewhere(table);
        }
        self.begin(Call::Over(batch.len()));
        let mut received = self.received.take().unwrap_or_default();
        let taken = self.read_parts(&mut received, from);
        self.received = Some(received);
        Ok(taken?.map_err(|error| Failure::of(&error, &Printed::default())))
    }

    fn read_parts(
        &mut self,
        received: &mut Received,
        from: &mut impl WireReader,
    ) -> Result<wasmtime::Result<()>, WireError> {
        let emitted = match self.kind {
            Kind::Process | Kind::Source | Kind::Window => self.read_emissions(&mut received.emission, from)?,
            _ => Ok(()),
        };
        let table = self.read_table(received, from)?;
        received.read((self.kind, self.fields.is_some()), self.output_limit, from)?;
        let table = emitted.and_then(|()| table.map_or(Ok(()), |table| self.take_received_table(&table, received)));
        Ok(table.and_then(|()| self.take(received)).and_then(|()| Ok(self.finish()?)))
    }

    /// Reads all emissions and stores them up to the first that is refused.
    fn read_emissions(
        &mut self,
        emission: &mut ReceivedEmission,
        from: &mut impl WireReader,
    ) -> Result<wasmtime::Result<()>, WireError> {
        let emitted: u32 = get_small(from)?;
        let mut left = self.output_limit;
        let mut taken = Ok(());
        for at in 0..emitted {
            let cost = match &self.fields {
                Some(fields) => emission.read_by_field(|port| fields.port(port).map(|(gives, _)| gives), left, from)?,
                None => emission.read(left, from)?,
            };
            left = left
                .checked_sub(cost)
                .ok_or_else(|| WireError::broken(format!("{} of {emitted} emissions exceed the limit", at + 1)))?;
            taken = taken.and_then(|()| {
                let (batch, parents) = (&emission.batch, emission.parents.as_deref());
                match batch.table() {
                    Some(table) => {
                        let rows = u32::try_from(table.len()).unwrap_or(u32::MAX);
                        self.take_field_emission(emission.port, (rows, &table.as_raw(&[])), batch.into(), parents)
                    }
                    None => self.take_emission(emission.port, batch.into(), parents),
                }
            });
        }
        Ok(taken)
    }

    /// Reads the table of an answer by field, if there is one.
    fn read_table(
        &mut self,
        received: &mut Received,
        from: &mut impl WireReader,
    ) -> Result<Option<ReceivedTable>, WireError> {
        let Some(fields) = &mut self.fields else { return Ok(None) };
        if self.kind == Kind::Map {
            received.answered = get_u64(from)? != 0;
        }
        match self.kind {
            Kind::Map if received.answered => fields.read(from, self.output_limit).map(Some),
            Kind::FlatMap => fields.read(from, self.output_limit).map(Some),
            _ => Ok(None),
        }
    }

    fn take_received_table(&mut self, table: &ReceivedTable, received: &Received) -> wasmtime::Result<()> {
        match self.kind {
            Kind::Map => self.take_table(table.rows(), &table.raw()),
            _ if received.parents.is_empty() && table.rows() == 0 => Ok(()),
            _ => self.take_table_rows(table.rows(), &table.raw(), &received.parents),
        }
    }

    fn take(&mut self, received: &mut Received) -> wasmtime::Result<()> {
        match self.kind {
            // The table was taken.
            Kind::Map | Kind::FlatMap if self.fields.is_some() => {}
            Kind::Map if received.answered => self.take_whole_column(Kind::Map, "payloads", &mut received.column)?,
            Kind::KeyBy if received.answered => self.take_whole_column(Kind::KeyBy, "keys", &mut received.column)?,
            Kind::Filter if received.answered => self.take_bitmap(&received.bitmap)?,
            Kind::FlatMap => {
                self.take_rows(received.column.offsets(), received.column.bytes(), &received.parents)?;
            }
            Kind::Window => self.take_late(&received.late)?,
            Kind::Map | Kind::KeyBy | Kind::Filter | Kind::Process | Kind::Source | Kind::Sink => {}
        }
        if received.rejected.is_empty() {
            return Ok(());
        }
        self.take_failures(&received.rejected, received.messages.offsets(), received.messages.bytes())
    }
}
