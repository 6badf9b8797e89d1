use super::field_output::OutputShape;
use super::field_reader::Unread;
use super::field_text::{text_for_people, text_of_rows};
use super::kept_fields::add_kept;
use super::on_error_policy::OnErrorPolicy;
use super::outlets::Outlets;
use super::printed_outputs::PrintedOutputs;
use super::row_runs::{rising_runs, runs_without};
use super::stopped::Stopped;
use super::unflushed::Unflushed;
use sage_batch::fields::{Part, Table};
use sage_batch::{Batch, BatchPool, Bitmap, Column, Origin, Record};
use sage_formats::json::unprintable;
use sage_plan::Kind;
use sage_sandbox::{Answer, Failure, FailureCode};

/// The outputs of a batch, or of the pieces of a failed batch, that are not sent yet. They are sent together
/// when it is the lane's turn.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) main: Vec<Batch>,
    pub(super) rejects: Vec<Batch>,
    /// The index of the side output (its port minus one), and the batch.
    pub(super) sides: Vec<(usize, Batch)>,
    /// sink: the input that is not durable yet.
    pub(super) unflushed: Unflushed,
}

/// The context for collecting an answer, apart from the batch that it answers.
pub(super) struct AnswerCollector<'a> {
    pub(super) kind: Kind,
    /// The number of this attempt.
    pub(super) attempt: u32,
    pub(super) outlets: &'a Outlets,
    pub(super) policy: &'a OnErrorPolicy,
    /// Maximum bytes of an output record, including its key and headers.
    pub(super) record_limit: u64,
    pub(super) pool: &'a BatchPool,
    /// The output of an operator that answers by field.
    pub(super) shape: Option<&'a OutputShape>,
    /// process by field: the ports on which a record keeps fields of its input record.
    pub(super) kept: Vec<Option<&'a OutputShape>>,
    /// process by field: the ports whose records are printed.
    pub(super) printed: &'a PrintedOutputs,
}

impl AnswerCollector<'_> {
    /// Turns a guest's answer into outputs and counts it. Afterwards every record of the batch is handled or
    /// rejected, or waits for a sink's flush.
    ///
    /// # Errors
    /// A rejected record or an oversized record stops the pipeline, or was collected after the pipeline was
    /// stopped.
    pub(super) fn take(&self, mut batch: Batch, answer: &mut Answer, outputs: &mut Outputs) -> Result<(), Stopped> {
        let rejected: Vec<usize> = answer.rejected().map(|(row, _)| row).collect();
        if !rejected.is_empty() {
            // As with failures after a stop: the stop itself may have caused the rejection.
            if self.policy.control.is_stopped() {
                return Err(Stopped);
            }
            self.text_for_rejects(&mut batch);
            let records = answer.rejected().filter_map(|(row, reason)| Some((batch.record(row)?, reason)));
            self.reject(records, batch.ingested(), outputs)?;
        }
        let rejected = self.without_what_is_too_large(&mut batch, answer, rejected)?;
        let rejected = self.without_what_has_no_text(&mut batch, answer, rejected, outputs)?;
        let handled = (batch.len() - rejected.len()) as u64;
        match self.kind {
            Kind::Map | Kind::FlatMap if let Some(shape) = self.shape => {
                self.replaced_by_fields(batch, answer, shape, &rejected, outputs);
            }
            Kind::Map | Kind::KeyBy => self.replaced(batch, answer, &rejected, outputs),
            Kind::Filter => self.kept(batch, answer, &rejected, outputs),
            Kind::FlatMap => self.expanded(batch, answer, &rejected, outputs),
            Kind::Process | Kind::Source => self.emitted(batch, answer, outputs)?,
            Kind::Window => {
                self.late(&mut batch, answer, outputs);
                self.emitted(batch, answer, outputs)?;
            }
            Kind::Sink => {
                self.written(batch, &rejected, outputs);
                return Ok(());
            }
        }
        self.policy.counters.handled.add(handled);
        Ok(())
    }

    /// Fails the output records that are too large. Returns the rows that are not sent on: these and the
    /// rejected ones.
    fn without_what_is_too_large(
        &self,
        batch: &mut Batch,
        answer: &mut Answer,
        mut rejected: Vec<usize>,
    ) -> Result<Vec<usize>, Stopped> {
        let too_large = match self.shape {
            Some(shape) => too_large_by_field(shape, self.kind, batch, answer, self.record_limit),
            None => too_large(self.kind, batch, answer, self.record_limit),
        };
        if !too_large.is_empty() {
            text_for_people(batch);
        }
        for (row, size) in too_large {
            let (Err(at), Some(record)) = (rejected.binary_search(&row), batch.record(row)) else { continue };
            self.policy.errors.breach("record_bytes");
            self.policy.failed(record, &oversized(size, self.record_limit), self.attempt)?;
            rejected.insert(at, row);
        }
        Ok(rejected)
    }

    /// Rejects the records whose outputs by field cannot be printed, if a stage downstream reads text. Returns the
    /// rows that are not sent on: these and the rejected ones.
    fn without_what_has_no_text(
        &self,
        batch: &mut Batch,
        answer: &mut Answer,
        mut rejected: Vec<usize>,
        outputs: &mut Outputs,
    ) -> Result<Vec<usize>, Stopped> {
        let mut found: Vec<(usize, String)> = if !self.shape.is_some_and(|shape| shape.is_printed) {
            self.printed.take_parents_of_unprintable(answer, self.pool)
        } else {
            let found = answer.table().map_or_else(Vec::new, |(table, _)| unprintable(table));
            let parents = answer.parents();
            let parent =
                |row| if self.kind == Kind::FlatMap { parents.get(row).map_or(row, |&row| row as usize) } else { row };
            found.into_iter().map(|(row, error)| (parent(row), error.to_string())).collect()
        };
        found.dedup_by_key(|(row, _)| *row);
        found.retain(|(row, _)| match rejected.binary_search(row) {
            Ok(_) => false,
            Err(at) => {
                rejected.insert(at, *row);
                true
            }
        });
        if !found.is_empty() {
            self.text_for_rejects(batch);
            let records = found.iter().filter_map(|(row, reason)| Some((batch.record(*row)?, reason.as_str())));
            self.reject(records, batch.ingested(), outputs)?;
        }
        Ok(rejected)
    }

    /// Handles records that did not come to the guest, because their fields or their text could not be made.
    ///
    /// # Errors
    /// As [`AnswerCollector::take`].
    pub(super) fn unread(&self, unread: &Unread, outputs: &mut Outputs) -> Result<(), Stopped> {
        if self.policy.control.is_stopped() {
            return Err(Stopped);
        }
        let records = unread.reasons.iter().enumerate();
        let records = records.filter_map(|(row, reason)| Some((unread.records.record(row)?, reason.as_str())));
        self.reject(records, unread.records.ingested(), outputs)
    }

    /// Gives records that may be rejected the text that their reader, or a dead letter, has.
    pub(super) fn text_for_rejects(&self, batch: &mut Batch) {
        if self.outlets.rejects.is_read() {
            text_of_rows(batch);
        }
        text_for_people(batch);
    }

    fn reject<'r>(
        &self,
        mut records: impl Iterator<Item = (Record<'r>, &'r str)>,
        ingested: u64,
        outputs: &mut Outputs,
    ) -> Result<(), Stopped> {
        if !self.outlets.rejects.is_read() {
            return records.try_for_each(|(record, message)| self.policy.rejected(record, message, self.attempt));
        }
        let mut rejects = self.pool.take();
        rejects.set_ingested(ingested);
        let mut headers = Vec::new();
        for (record, message) in records {
            let size = size_of_record(record);
            if size + ERROR_HEADER as u64 > self.record_limit {
                self.policy.errors.breach("record_bytes");
                self.policy.failed(record, &oversized(size, self.record_limit), self.attempt)?;
                continue;
            }
            headers.clear();
            headers.extend_from_slice(record.headers.unwrap_or_default());
            let room = usize::try_from(self.record_limit - size).unwrap_or(usize::MAX) - ERROR_HEADER;
            add_header(&mut headers, "error", beginning(message, room));
            // All records have headers now, and otherwise the shape of their batch.
            let _ = rejects.push(Record { headers: Some(&headers), ..record });
            self.policy.counters.rejected.add(1);
            self.policy.errors.count(FailureCode::Rejected.name());
        }
        outputs.rejects.push(rejects);
        Ok(())
    }

    /// map and flat-map by field: sends on the rows that the guest made, with the fields that travel on.
    fn replaced_by_fields(
        &self,
        mut batch: Batch,
        answer: &mut Answer,
        shape: &OutputShape,
        rejected: &[usize],
        outputs: &mut Outputs,
    ) {
        if self.kind == Kind::FlatMap {
            batch = self.row_for_each_output(batch, answer.parents());
        }
        let mut rows = Table::default();
        let Some((table, same)) = answer.table() else { return self.pool.put(batch) };
        let Some(input) = batch.table_mut() else { return self.pool.put(batch) };
        rows.assemble(&shape.schema, table.len(), &shape.parts(same), table, input);
        batch.replace_by_fields(&mut rows);
        // The columns of the input serve the next answer.
        std::mem::swap(table, &mut rows);
        let rejected = match self.kind {
            Kind::FlatMap if !rejected.is_empty() => {
                let parents = answer.parents().iter().enumerate();
                let gone = parents.filter(|(_, parent)| rejected.binary_search(&(**parent as usize)).is_ok());
                &gone.map(|(row, _)| row).collect::<Vec<_>>()
            }
            _ => rejected,
        };
        self.main(self.without(batch, rejected), outputs);
    }

    /// flat-map: the input record of each output.
    fn row_for_each_output(&self, batch: Batch, parents: &[u32]) -> Batch {
        let mut rows = self.pool.take();
        for (parent, run) in rising_runs(parents) {
            let _ = rows.append_range(&batch, parent, parent + run);
        }
        self.pool.put(batch);
        rows
    }

    /// map and key-by: sends the batch on with one column replaced.
    fn replaced(&self, mut batch: Batch, answer: &mut Answer, rejected: &[usize], outputs: &mut Outputs) {
        let swap = |batch: &mut Batch, answer: &mut Answer| match self.kind {
            Kind::KeyBy => batch.swap_keys(answer.column()),
            _ => batch.swap_payloads(answer.column()),
        };
        swap(&mut batch, answer);
        self.main(self.without(batch, rejected), outputs);
    }

    /// sink: keeps the batch until it is durable.
    fn written(&self, batch: Batch, rejected: &[usize], outputs: &mut Outputs) {
        let batch = self.without(batch, rejected);
        if batch.is_empty() {
            return self.pool.put(batch);
        }
        outputs.unflushed.add(batch);
    }

    /// The rows of a batch that were not rejected.
    fn without(&self, batch: Batch, rejected: &[usize]) -> Batch {
        if rejected.is_empty() {
            return batch;
        }
        let mut rest = self.pool.take();
        for (start, end) in runs_without(rejected, batch.len()) {
            // An empty batch takes any shape, and all of these rows have the same shape.
            let _ = rest.append_range(&batch, start, end);
        }
        self.pool.put(batch);
        rest
    }

    fn kept(&self, batch: Batch, answer: &Answer, rejected: &[usize], outputs: &mut Outputs) {
        let rows = batch.len();
        let kept = answer.kept();
        if rejected.is_empty() && kept.count() == rows {
            return self.main(batch, outputs);
        }
        let mut rest = self.pool.take();
        // An empty batch takes any shape.
        if rejected.is_empty() {
            let _ = rest.append_kept(&batch, kept);
        } else {
            let bits = (0..rows.div_ceil(8)).map(|byte| {
                (0..8).fold(0u8, |bits, bit| {
                    let row = byte * 8 + bit;
                    bits | u8::from(kept.get(row) && rejected.binary_search(&row).is_err()) << bit
                })
            });
            let bits: Vec<u8> = bits.collect();
            let _ = rest.append_kept(&batch, Bitmap::new(&bits));
        }
        self.policy.counters.filtered.add((rows - rejected.len() - rest.len()) as u64);
        self.pool.put(batch);
        self.main(rest, outputs);
    }

    fn expanded(&self, batch: Batch, answer: &mut Answer, rejected: &[usize], outputs: &mut Outputs) {
        let mut rest = self.pool.take();
        let (payloads, parents) = answer.rows_parts();
        if rejected.is_empty() {
            for (parent, run) in rising_runs(parents) {
                let _ = rest.append_around_payloads(&batch, parent, parent + run);
            }
            rest.swap_payloads(payloads);
        } else {
            for (row, &parent) in parents.iter().enumerate() {
                let parent = parent as usize;
                if rejected.binary_search(&parent).is_err() {
                    let _ = rest.append_around_payloads(&batch, parent, parent + 1);
                    rest.append_payloads(payloads, row, row + 1);
                }
            }
        }
        self.pool.put(batch);
        self.main(rest, outputs);
    }

    /// window: sends the late records on as they came, if a stage reads them.
    fn late(&self, batch: &mut Batch, answer: &Answer, outputs: &mut Outputs) {
        if answer.late().is_empty() {
            return;
        }
        self.policy.counters.late.add(answer.late().len() as u64);
        if !self.outlets.sides.first().is_some_and(|late| late.is_read()) {
            return;
        }
        text_of_rows(batch);
        let mut late = self.pool.take();
        for &row in answer.late() {
            // An empty batch takes any shape, and all of these rows have the same shape.
            let _ = late.append_range(batch, row as usize, row as usize + 1);
        }
        late.set_ingested(batch.ingested());
        outputs.sides.push((0, late));
    }

    fn emitted(&self, input: Batch, answer: &mut Answer, outputs: &mut Outputs) -> Result<(), Stopped> {
        let since = if input.is_empty() { self.policy.control.now() } else { input.ingested() };
        for emission in answer.emissions() {
            let mut batch = std::mem::replace(&mut emission.batch, self.pool.take());
            match &emission.parents {
                Some(parents) => {
                    let origin = |&parent: &u32| input.origins().get(parent as usize).copied();
                    batch.set_origins(parents.iter().map(|parent| origin(parent).unwrap_or(Origin::NONE)));
                }
                None => {
                    let none = batch.len();
                    batch.set_origins(std::iter::repeat_n(Origin::NONE, none));
                }
            }
            let kept = self.kept.get(emission.port as usize).copied().flatten();
            if let (Some(shape), Some(parents), Some(input)) = (kept, &emission.parents, input.table()) {
                add_kept(&mut batch, parents, input, shape);
            }
            batch.set_ingested(since);
            if emission.parents.is_none() {
                batch = self.printed.without_unprintable(emission.port, batch, self.policy, self.pool)?;
            }
            match (emission.port as usize).checked_sub(1) {
                None => self.main(batch, outputs),
                Some(side) if self.outlets.sides.get(side).is_some_and(|outlet| outlet.is_read()) => {
                    self.count_out(&batch);
                    outputs.sides.push((side, batch));
                }
                Some(_) => {
                    self.policy.counters.unread.add(batch.len() as u64);
                    self.pool.put(batch);
                }
            }
        }
        self.pool.put(input);
        Ok(())
    }

    fn main(&self, batch: Batch, outputs: &mut Outputs) {
        if batch.is_empty() {
            return self.pool.put(batch);
        }
        self.count_out(&batch);
        outputs.main.push(batch);
    }

    fn count_out(&self, batch: &Batch) {
        self.policy.counters.records_out.add(batch.len() as u64);
        self.policy.counters.bytes_out.add(batch.record_bytes() as u64);
    }
}

/// The output records of more than `limit` bytes, in rising order of rows, with their sizes. Only kinds whose
/// output the host assembles are checked here. A process and a source send whole records, which were checked on
/// arrival.
fn too_large(kind: Kind, batch: &Batch, answer: &mut Answer, limit: u64) -> Vec<(usize, u64)> {
    let length = |column: Option<&Column>, row| column.and_then(|column| column.get(row)).map_or(0, <[u8]>::len) as u64;
    let all = |column: Option<&Column>| column.map_or(0, Column::byte_len) as u64;
    let (payloads, keys, headers) = (Some(batch.payloads()), batch.keys(), batch.headers());
    if kind == Kind::Filter {
        // An oversized record is rare, so the sum of the whole batch is checked first.
        if all(payloads) + all(keys) + all(headers) <= limit {
            return Vec::new();
        }
        let kept = answer.kept();
        let size = |row| length(payloads, row) + length(keys, row) + length(headers, row);
        return (0..batch.len())
            .filter(|&row| kept.get(row))
            .map(|row| (row, size(row)))
            .filter(|at| at.1 > limit)
            .collect();
    }
    let (first, second) = match kind {
        Kind::Map | Kind::FlatMap => (keys, headers),
        Kind::KeyBy => (payloads, headers),
        _ => return Vec::new(),
    };
    let (column, parents) = answer.rows_parts();
    // An output inherits the key and the headers of its record. In a flat-map several outputs may inherit the
    // same bytes, so the sum of the outputs may hold one column many times.
    if all(Some(column)) + all(first) + all(second) <= limit {
        return Vec::new();
    }
    let parent =
        |row: usize| if kind == Kind::FlatMap { parents.get(row).map_or(row, |&row| row as usize) } else { row };
    let sizes = (0..column.len()).map(|row| (parent(row), length(Some(column), row)));
    let sizes = sizes.map(|(row, own)| (row, own + length(first, row) + length(second, row)));
    let mut found: Vec<(usize, u64)> = sizes.filter(|(_, size)| *size > limit).collect();
    found.dedup_by_key(|(row, _)| *row);
    found
}

/// The input records with an output by field of more than `limit` bytes, in rising order, with the size.
fn too_large_by_field(
    shape: &OutputShape,
    kind: Kind,
    batch: &Batch,
    answer: &mut Answer,
    limit: u64,
) -> Vec<(usize, u64)> {
    let parents = answer.parents().to_vec();
    let (Some((table, same)), Some(input)) = (answer.table(), batch.table()) else { return Vec::new() };
    let beside = [batch.keys(), batch.headers()];
    // The sum of everything is the bound of each record, which is nearly always enough.
    let sum: usize = beside.iter().flatten().map(|column| column.byte_len()).sum();
    if (sum + input.weight() + table.weight()) as u64 <= limit {
        return Vec::new();
    }
    let parts = shape.parts(same);
    let size = |row: usize, parent: usize| {
        let part = |part: &Part| match *part {
            Part::Answer(number) => table.fields().get(number).map_or(0, |column| column.value_bytes(row)),
            Part::Input(number) => input.fields().get(number).map_or(0, |column| column.value_bytes(parent)),
        };
        let beside = beside.iter().flatten().map(|column| column.get(parent).map_or(0, <[u8]>::len));
        (parts.iter().map(part).sum::<usize>() + beside.sum::<usize>()) as u64
    };
    let parent =
        |row: usize| if kind == Kind::FlatMap { parents.get(row).map_or(row, |&row| row as usize) } else { row };
    let sizes = (0..table.len()).map(|row| (parent(row), size(row, parent(row))));
    let mut found: Vec<(usize, u64)> = sizes.filter(|(_, size)| *size > limit).collect();
    found.dedup_by_key(|(row, _)| *row);
    found
}

fn size_of_record(record: Record<'_>) -> u64 {
    let rest = [record.key, record.headers].into_iter().flatten().map(|bytes| bytes.len() as u64);
    record.payload.len() as u64 + rest.sum::<u64>()
}

fn oversized(size: u64, limit: u64) -> Failure {
    let message =
        format!("the output record has {size} bytes with its key and headers, more than record_bytes ({limit})");
    Failure::new(FailureCode::RecordTooLarge, message)
}

/// Bytes of the header `error` without its text.
const ERROR_HEADER: usize = 4 + "error".len() + 4;

/// The longest prefix of a text that fits. A rejection never makes a record too large.
fn beginning(text: &str, room: usize) -> &str {
    text.get(..text.floor_char_boundary(room)).unwrap_or(text)
}

/// Appends a header in the encoding of the contract.
fn add_header(headers: &mut Vec<u8>, name: &str, value: &str) {
    for text in [name, value] {
        headers.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        headers.extend_from_slice(text.as_bytes());
    }
}
