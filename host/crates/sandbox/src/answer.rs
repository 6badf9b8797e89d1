use super::failure::{FailureCode, HostTrap};
use super::field_answer::FieldAnswer;
use super::received_answer::Received;
use super::window_call::WindowCall;
use sage_batch::{Batch, Bitmap, Column, Malformed, RawColumns, check_bitmap, check_offsets, check_rising};
use sage_plan::{Kind, Limits};

/// The checked output of a guest during one call. Its buffers are used again for the next call.
#[derive(Debug)]
pub struct Answer {
    pub(super) kind: Kind,
    rows: usize,
    /// Name of the current call, if it is one that returns no output.
    mute: Option<&'static str>,
    pub(super) record_limit: u64,
    pub(super) output_limit: u64,
    output_bytes: u64,
    /// flat-map, and process by field: bytes that the outputs of each input record inherit; empty if they inherit
    /// nothing.
    pub(super) inherited: Vec<u64>,
    pub(super) answered: bool,
    pub(super) column: Column,
    pub(super) bitmap: Vec<u8>,
    pub(super) parents: Vec<u32>,
    pub(super) emissions: Vec<Emission>,
    pub(super) emitted: usize,
    ports: u32,
    /// window: what the current call answers with.
    pub(super) window: WindowCall,
    /// window: the records that came too late.
    pub(super) late: Vec<u32>,
    pub(super) rejected: Vec<u32>,
    pub(super) messages: Column,
    /// The fields, if the guest's records are by field.
    pub(super) fields: Option<Box<FieldAnswer>>,
    /// Buffers in which an answer from another process is put together.
    pub(super) received: Option<Box<Received>>,
}

/// Records that a process or source emitted with one call of `output.emit`.
#[derive(Debug, Default)]
pub struct Emission {
    /// The output: 0 is the main one.
    pub port: u32,
    /// The records, without origins.
    pub batch: Batch,
    /// Index of the input record behind each record, if the guest gave it.
    pub parents: Option<Vec<u32>>,
}

/// The output that a call may return.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    /// The output of the guest's kind, over this number of records.
    Over(usize),
    /// None: the output of `open`, `close` and the like would be lost. The text is the call's name.
    Mute(&'static str),
    /// window: accumulators for this number of slots, and rejections of this number of records.
    Fold { records: usize, slots: usize },
    /// window: accumulators for this number of pairs.
    Merge(usize),
    /// window: records of this number of windows.
    Finish(usize),
}

impl Answer {
    /// An empty answer of a guest of this kind, with these limits.
    #[must_use]
    pub fn new(kind: Kind, limits: &Limits) -> Self {
        Self {
            kind,
            rows: 0,
            mute: Some("its start"),
            record_limit: limits.record_bytes,
            output_limit: limits.output_bytes_per_call,
            output_bytes: 0,
            inherited: Vec::new(),
            answered: false,
            column: Column::new(),
            bitmap: Vec::new(),
            parents: Vec::new(),
            emissions: Vec::new(),
            emitted: 0,
            ports: 0,
            window: WindowCall::default(),
            late: Vec::new(),
            rejected: Vec::new(),
            messages: Column::new(),
            fields: None,
            received: None,
        }
    }

    /// Begins a call.
    pub(super) fn begin(&mut self, call: Call) {
        (self.rows, self.mute, self.window) = match call {
            Call::Over(rows) => (rows, None, WindowCall::Elsewhere),
            Call::Mute(name) => (0, Some(name), WindowCall::Elsewhere),
            Call::Fold { records, slots } => (records, None, WindowCall::Accumulates("fold", slots)),
            Call::Merge(pairs) => (0, None, WindowCall::Accumulates("merge", pairs)),
            Call::Finish(windows) => (windows, None, WindowCall::Finishes),
        };
        // Buffers stay while the calls use them: mapping and unmapping 64 MiB costs three times the copy.
        if self.buffer_bytes()
            > KEEP_BYTES.max(usize::try_from(self.output_bytes).unwrap_or(usize::MAX).saturating_mul(4))
        {
            self.give_up_buffers();
        }
        self.output_bytes = 0;
        self.answered = false;
        self.column.clear();
        self.bitmap.clear();
        self.parents.clear();
        self.late.clear();
        self.rejected.clear();
        self.messages.clear();
        if let Some(fields) = &mut self.fields {
            fields.begin();
        }
        if self.emitted > 0 || self.emissions.len() > KEEP_EMISSIONS {
            self.forget_emissions();
        }
    }

    /// Makes this the answer to a call over so many records, with what the last call left in it.
    pub(super) fn over(&mut self, rows: usize) {
        (self.rows, self.mute, self.window) = (rows, None, WindowCall::Elsewhere);
        self.rejected.clear();
        self.messages.clear();
        self.late.clear();
    }

    /// Clears the emissions. At most [`KEEP_EMISSIONS`] stay allocated for the next call, and none keeps more
    /// than [`KEEP_BYTES`].
    fn forget_emissions(&mut self) {
        self.emissions.truncate(KEEP_EMISSIONS);
        self.emissions.shrink_to(KEEP_EMISSIONS);
        for emission in self.emissions.iter_mut().take(self.emitted) {
            emission.batch.clear();
            if emission.batch.capacity() > KEEP_BYTES {
                emission.batch = Batch::new();
            }
            emission.parents = None;
        }
        self.emitted = 0;
    }

    fn buffer_bytes(&self) -> usize {
        let numbers = self.parents.capacity() + self.rejected.capacity();
        let fields = self.fields.as_ref().map_or(0, |fields| fields.capacity());
        self.column.capacity() + self.messages.capacity() + self.bitmap.capacity() + fields + numbers * size_of::<u32>()
    }

    /// Frees the buffers: one huge answer should not keep its memory for ever.
    fn give_up_buffers(&mut self) {
        (self.column, self.messages) = (Column::new(), Column::new());
        (self.bitmap, self.parents, self.rejected) = (Vec::new(), Vec::new(), Vec::new());
        self.received = None;
        if let Some(fields) = &mut self.fields {
            fields.give_up_buffers();
        }
    }

    /// Sets the number of side outputs that the component has.
    pub fn set_ports(&mut self, ports: u32) {
        // The host sends late records itself.
        self.ports = if self.kind == Kind::Window { 0 } else { ports };
    }

    /// Checks at the end of a call that the guest gave the output that its kind requires.
    pub(super) fn finish(&self) -> Result<(), HostTrap> {
        let must = matches!(self.kind, Kind::Map | Kind::Filter | Kind::KeyBy);
        if must && !self.answered && self.rows > 0 {
            let message = format!("a {} must call {} once per call, but did not", self.kind, self.function());
            return Err(HostTrap { code: FailureCode::Malformed, message });
        }
        self.finish_window_call()
    }

    /// map: the new payloads; key-by: the keys. The column has one entry for each record. The engine swaps it
    /// for an empty one.
    pub fn column(&mut self) -> &mut Column {
        &mut self.column
    }

    /// filter: the records that stay.
    #[must_use]
    pub fn kept(&self) -> Bitmap<'_> {
        Bitmap::new(&self.bitmap)
    }

    /// flat-map: the index of the input record behind each of the new payloads (in [`Answer::column`]).
    #[must_use]
    pub fn parents(&self) -> &[u32] {
        &self.parents
    }

    /// flat-map: the new payloads and their parents together.
    pub fn rows_parts(&mut self) -> (&mut Column, &[u32]) {
        (&mut self.column, &self.parents)
    }

    /// process and source: the emissions, in order. The engine moves the batches out.
    pub fn emissions(&mut self) -> impl Iterator<Item = &mut Emission> {
        self.emissions.iter_mut().take(self.emitted)
    }

    /// The rejected records in rising order, each with the reason.
    pub fn rejected(&self) -> impl ExactSizeIterator<Item = (usize, &str)> {
        self.rejected
            .iter()
            .zip(self.messages.iter())
            .map(|(&row, message)| (row as usize, std::str::from_utf8(message).unwrap_or_default()))
    }

    pub(super) fn take_column(&mut self, kind: Kind, name: &'static str, offsets: &[u32], bytes: &[u8]) -> Checked {
        self.expect(kind)?;
        self.once()?;
        self.weigh(name, offsets, bytes)?;
        let found = self.column.assign(name, offsets, bytes).map_err(|e| HostTrap::malformed(&e))?;
        if found != self.rows {
            let broken = Malformed::Count { column: name, found, expected: self.rows };
            return Err(HostTrap::malformed(&broken));
        }
        Ok(())
    }

    /// As [`Answer::take_column`], for a column that has already been checked alone and is moved instead of
    /// copied.
    pub(super) fn take_whole_column(&mut self, kind: Kind, name: &'static str, column: &mut Column) -> Checked {
        self.expect(kind)?;
        self.once()?;
        self.weigh(name, column.offsets(), column.bytes())?;
        if column.len() != self.rows {
            let broken = Malformed::Count { column: name, found: column.len(), expected: self.rows };
            return Err(HostTrap::malformed(&broken));
        }
        std::mem::swap(&mut self.column, column);
        Ok(())
    }

    pub(super) fn take_bitmap(&mut self, bitmap: &[u8]) -> Checked {
        self.expect(Kind::Filter)?;
        self.once()?;
        check_bitmap("bitmap", bitmap, self.rows).map_err(|e| HostTrap::malformed(&e))?;
        self.bitmap.extend_from_slice(bitmap);
        Ok(())
    }

    pub(super) fn take_rows(&mut self, offsets: &[u32], bytes: &[u8], parents: &[u32]) -> Checked {
        self.expect(Kind::FlatMap)?;
        self.weigh("payloads", offsets, bytes)?;
        let found = check_offsets("payloads", offsets, bytes.len()).map_err(|e| HostTrap::malformed(&e))?;
        if found != parents.len() {
            let broken = Malformed::Count { column: "parents", found: parents.len(), expected: found };
            return Err(HostTrap::malformed(&broken));
        }
        self.take_parents(parents)?;
        self.column.append_checked(offsets, bytes);
        Ok(())
    }

    /// Number of records of the call.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn take_emission(&mut self, port: u32, columns: RawColumns<'_>, parents: Option<&[u32]>) -> Checked {
        if !matches!(self.kind, Kind::Process | Kind::Source | Kind::Window) || self.fields.is_some() {
            return Err(self.wrong_function("output.emit"));
        }
        self.speaks(&"output.emit")?;
        self.may_emit(parents)?;
        self.check_port(port)?;
        let (offsets, bytes) = columns.payloads;
        // Each emission costs the host a batch, even if the batch is small.
        self.count(size_of::<Emission>() as u64 + ROW_BYTES * offsets.len() as u64)?;
        self.weigh("payloads", offsets, bytes)?;
        for (name, column) in [("keys", columns.keys), ("headers", columns.headers)] {
            if let Some((offsets, bytes)) = column {
                self.weigh(name, offsets, bytes)?;
            }
        }
        let rows = self.rows;
        let (record_limit, emission) = (self.record_limit, self.next_emission());
        emission.port = port;
        let found = emission.batch.assign(columns).map_err(|e| HostTrap::malformed(&e))?;
        check_records(&emission.batch, record_limit)?;
        emission.set_parents(parents, found, rows)?;
        self.emitted += 1;
        Ok(())
    }

    /// Checks that the component has this port.
    pub(super) fn check_port(&self, port: u32) -> Checked {
        if port <= self.ports {
            return Ok(());
        }
        let message = format!("emit: port {port}, the component declares {} side outputs", self.ports);
        Err(HostTrap::error(FailureCode::Malformed, message))
    }

    /// The place of the next emission, which counts once `emitted` is raised.
    pub(super) fn next_emission(&mut self) -> &mut Emission {
        let at = self.emitted;
        if self.emissions.len() == at {
            self.emissions.push(Emission::default());
        }
        #[expect(clippy::indexing_slicing, reason = "an emission was just pushed if there was none")]
        &mut self.emissions[at]
    }

    pub(super) fn take_failures(&mut self, rows: &[u32], offsets: &[u32], bytes: &[u8]) -> Checked {
        if self.kind == Kind::Source {
            return Err(self.wrong_function("output.failures"));
        }
        self.may_reject()?;
        self.speaks(&"output.failures")?;
        self.count(bytes.len() as u64 + 4 * offsets.len() as u64)?;
        let found = check_offsets("messages", offsets, bytes.len()).map_err(|e| HostTrap::malformed(&e))?;
        if found != rows.len() {
            let broken = Malformed::Count { column: "messages", found, expected: rows.len() };
            return Err(HostTrap::malformed(&broken));
        }
        check_rising("rows", rows, self.rows, self.rejected.last().copied()).map_err(|e| HostTrap::malformed(&e))?;
        let before = self.messages.len();
        self.messages.append_checked(offsets, bytes);
        for (index, message) in self.messages.iter().enumerate().skip(before) {
            if std::str::from_utf8(message).is_err() {
                return Err(HostTrap::malformed(&Malformed::NotUtf8 { column: "messages", index }));
            }
        }
        self.rejected.extend_from_slice(rows);
        Ok(())
    }

    /// Counts an output against the limits. The offsets are not trusted yet. The size of each entry is checked
    /// only if the total is larger than a record may be.
    pub(super) fn weigh(&mut self, name: &str, offsets: &[u32], bytes: &[u8]) -> Checked {
        let total = bytes.len() as u64;
        self.count(total + 4 * offsets.len() as u64)?;
        if total > self.record_limit {
            for (row, pair) in offsets.windows(2).enumerate() {
                let size = match *pair {
                    [start, end] => u64::from(end.saturating_sub(start)),
                    _ => 0,
                };
                if size > self.record_limit {
                    let message =
                        format!("{name}: entry {row} has {size} bytes, more than record_bytes ({})", self.record_limit);
                    return Err(HostTrap::error(FailureCode::RecordTooLarge, message));
                }
            }
        }
        Ok(())
    }

    /// Counts bytes towards the output limit of the call.
    pub(super) fn count(&mut self, bytes: u64) -> Checked {
        self.output_bytes = self.output_bytes.saturating_add(bytes);
        if self.output_bytes <= self.output_limit {
            return Ok(());
        }
        let message = format!(
            "the call sent {} bytes, more than output_bytes_per_call ({})",
            self.output_bytes, self.output_limit
        );
        Err(HostTrap::error(FailureCode::OutputTooLarge, message))
    }

    /// Checks that this is an answer by bytes of a guest of this kind.
    fn expect(&self, kind: Kind) -> Checked {
        let by_field = self.fields.is_some() && function_by_field(kind).is_some();
        if self.kind != kind || by_field {
            return Err(self.wrong_function(&format!("output.{}", function_of(kind))));
        }
        self.speaks(&format_args!("output.{}", function_of(kind)))
    }

    /// Checks that this is an answer by field of a guest of this kind.
    pub(super) fn expect_fields(&self, kind: Kind) -> Checked {
        let function = function_by_field(kind).unwrap_or_default();
        if self.kind != kind || self.fields.is_none() {
            return Err(self.wrong_function(&format!("fields-output.{function}")));
        }
        self.speaks(&format_args!("fields-output.{function}"))
    }

    /// Checks that the current call may return output.
    pub(super) fn speaks(&self, function: &dyn std::fmt::Display) -> Checked {
        let Some(call) = self.mute else { return Ok(()) };
        let message = format!("{function} was called in {call}, which returns no output");
        Err(HostTrap::error(FailureCode::Malformed, message))
    }

    pub(super) fn once(&mut self) -> Checked {
        if std::mem::replace(&mut self.answered, true) {
            let message = format!("a {} may call {} only once per call", self.kind, self.function());
            return Err(HostTrap::error(FailureCode::Malformed, message));
        }
        Ok(())
    }

    pub(super) fn wrong_function(&self, called: &str) -> wasmtime::Error {
        let by_field = if self.fields.is_some() { " by field" } else { "" };
        let message = format!("{called} is not for a {}{by_field}, which answers with {}", self.kind, self.function());
        HostTrap::error(FailureCode::Malformed, message)
    }

    /// Name of the function with which the guest answers.
    fn function(&self) -> String {
        match function_by_field(self.kind).filter(|_| self.fields.is_some()) {
            Some(function) => format!("fields-output.{function}"),
            None => format!("output.{}", function_of(self.kind)),
        }
    }
}

/// The function of `output` for a kind.
fn function_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Map => "payloads",
        Kind::Filter => "keep",
        Kind::FlatMap => "rows",
        Kind::KeyBy => "keys",
        Kind::Process | Kind::Source | Kind::Window => "emit",
        Kind::Sink => "failures",
    }
}

/// The function of `fields-output` for a kind, if its records by field are answered there.
fn function_by_field(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Map => Some("columns"),
        Kind::FlatMap => Some("rows"),
        Kind::Process | Kind::Source | Kind::Window => Some("emit"),
        Kind::Filter | Kind::KeyBy | Kind::Sink => None,
    }
}

pub(super) type Checked = wasmtime::Result<()>;

/// Checks that each record, with its key and headers, is within the limit.
fn check_records(batch: &Batch, limit: u64) -> Checked {
    let columns = [Some(batch.payloads()), batch.keys(), batch.headers()];
    let columns = || columns.iter().flatten();
    if columns().map(|column| column.byte_len() as u64).sum::<u64>() <= limit {
        return Ok(());
    }
    let size = |row| columns().map(|column| column.get(row).map_or(0, <[u8]>::len) as u64).sum::<u64>();
    match (0..batch.len()).map(|row| (row, size(row))).find(|(_, size)| *size > limit) {
        None => Ok(()),
        Some((row, size)) => {
            let message = format!(
                "emitted record {row} has {size} bytes with its key and headers, more than record_bytes ({limit})"
            );
            Err(HostTrap::error(FailureCode::RecordTooLarge, message))
        }
    }
}

/// Most bytes that the buffers of an answer, or of one emission, keep from one call to the next: 16 times the
/// target size of a batch.
const KEEP_BYTES: usize = 1 << 20;
/// Most emissions whose buffers are kept.
const KEEP_EMISSIONS: usize = 64;

/// Bytes that a record costs the host besides its content (its origin, parent and timestamp). Empty records
/// count too.
pub(super) const ROW_BYTES: u64 = 20;

impl Emission {
    /// Checks and sets the parents of `found` records of a call over `rows` records.
    pub(super) fn set_parents(&mut self, parents: Option<&[u32]>, found: usize, rows: usize) -> Checked {
        if let Some(parents) = parents {
            check_emission_parents(parents, found, rows).map_err(|e| HostTrap::malformed(&e))?;
        }
        self.parents = parents.map(<[u32]>::to_vec);
        Ok(())
    }
}

fn check_emission_parents(parents: &[u32], found: usize, rows: usize) -> Result<(), Malformed> {
    if parents.len() != found {
        return Err(Malformed::Count { column: "parents", found: parents.len(), expected: found });
    }
    match parents.iter().enumerate().find(|&(_, &parent)| parent as usize >= rows) {
        Some((index, &found)) => Err(Malformed::OutOfRange { column: "parents", index, found, records: rows }),
        None => Ok(()),
    }
}
