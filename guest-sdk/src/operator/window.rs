use std::rc::Rc;

use super::broken;
use super::failures::Failures;
use super::running::Running;
use crate::fields::{Columns, FieldBatch, FromFields, Ports, Start};
use crate::state::State;
use crate::types::{Batch, Closing, Column};
use crate::{Context, Emitter, Error, Record, Window as Closed, host, metrics};

/// Sums up windows of records, which the host keeps. `#[sage_guest::window]` implements this trait.
pub trait Window: Sized {
    /// What is summed up for a key and window.
    type Accumulator: State + Default;
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Adds a record to an accumulator. An error rejects the record, and the accumulator is left as it was.
    fn add(&mut self, accumulator: &mut Self::Accumulator, record: Record<'_, &[u8]>) -> Result<(), Error>;
    /// Adds a later session's accumulator.
    fn merge(&mut self, accumulator: &mut Self::Accumulator, later: Self::Accumulator) -> Result<(), Error>;
    /// Emits the result of a window.
    fn finish(&mut self, window: &Closed<'_>, accumulator: Self::Accumulator, out: &mut Emitter) -> Result<(), Error>;
    /// Ends the lane.
    fn close(self) {}
}

/// As [`Window`], for records by field. `#[sage_guest::window]` implements this trait for an operator whose output is a
/// [`Port`](crate::Port).
pub trait FieldsWindow: Sized {
    /// As in [`Window`].
    type Accumulator: State + Default;
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Adds records to accumulators.
    fn fold(&mut self, call: FieldsFold<'_, Self::Accumulator>);
    /// As in [`Window`].
    fn merge(&mut self, accumulator: &mut Self::Accumulator, later: Self::Accumulator) -> Result<(), Error>;
    /// Emits the results of windows.
    fn finish(&mut self, call: FieldsFinish<'_, Self::Accumulator>);
    /// Ends the lane.
    fn close(self) {}
}

/// A `fold` of records by field.
#[derive(Debug)]
pub struct FieldsFold<'a, A> {
    batch: &'a FieldBatch,
    rows: &'a [u32],
    slots: &'a [u32],
    accumulators: &'a mut [A],
    failures: &'a mut Failures,
}

impl<'a, A> FieldsFold<'a, A> {
    /// Adds the records one by one. An error rejects the record; the host folds the batch again without it.
    #[inline(always)]
    pub fn each<R: FromFields<'a>>(self, mut add: impl FnMut(&mut A, Record<'a, R>) -> Result<(), Error>) {
        let Self { batch, rows, slots, accumulators, failures } = self;
        let columns = Columns::<R>::of(&batch.table);
        for (&row, &slot) in rows.iter().zip(slots) {
            let row = row as usize;
            let accumulator = slot_of(accumulators, slot);
            if let Err(error) = add(accumulator, Record::by_field(batch, row, columns.get(row))) {
                reject_once(failures, row, &error);
            }
        }
    }
}

/// A `finish` of windows by field.
#[derive(Debug)]
pub struct FieldsFinish<'a, A> {
    windows: &'a Closing,
    accumulators: Vec<A>,
}

impl<A> FieldsFinish<'_, A> {
    /// Finishes the windows one by one. An error fails the call: a window is no record to reject.
    pub fn each<P: Ports>(self, mut ports: P, mut finish: impl FnMut(&Closed<'_>, A, &mut P) -> Result<(), Error>) {
        let Self { windows, accumulators } = self;
        let input = Rc::new(FieldBatch {
            keys: Some(windows.keys.clone()),
            timestamps: Some(last_times(windows)),
            ..FieldBatch::default()
        });
        ports.begin(&Start { input: Some(&input), streaming: false, limits: (usize::MAX, usize::MAX) });
        for (at, accumulator) in accumulators.into_iter().enumerate() {
            ports.at(at);
            if let Err(error) = finish(&Closed::of(windows, at), accumulator, &mut ports) {
                broken("finish", &error);
            }
            ports.tell_if_much();
        }
        ports.tell();
    }
}

/// The lane of a [`Window`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct WindowLane<O> {
    operator: Running<O>,
    out: Emitter,
    failures: Failures,
}

impl<O: Window> WindowLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), out: Emitter::new(&[]), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `fold` of the contract.
    pub fn fold(&mut self, batch: &Batch, rows: &[u32], slots: &[u32], accumulators: &Column, new: &[u8]) {
        let operator = self.operator.get();
        let mut accumulators = read_slots::<O::Accumulator>(accumulators, new);
        for (&row, &slot) in rows.iter().zip(slots) {
            let row = row as usize;
            let payload = batch.payloads.get(row).unwrap_or_default();
            let accumulator = slot_of(&mut accumulators, slot);
            if let Err(error) = operator.add(accumulator, Record::of(batch, row, payload)) {
                reject_once(&mut self.failures, row, &error);
            }
        }
        answer(&mut self.failures, &accumulators);
    }

    /// `merge` of the contract.
    pub fn merge(&mut self, left: &Column, right: &Column) {
        let operator = self.operator.get();
        merge_each(left, right, |accumulator, later| operator.merge(accumulator, later));
    }

    /// `finish` of the contract. An error fails the call: a window is no record to reject.
    pub fn finish(&mut self, windows: &Closing) {
        let operator = self.operator.get();
        let accumulators = read_all::<O::Accumulator>(&windows.accumulators);
        let input = Rc::new(Batch {
            payloads: Column::of(windows.keys.iter().map(|_| [])),
            keys: Some(windows.keys.clone()),
            timestamps: Some(last_times(windows)),
            headers: None,
        });
        self.out.begin(&input);
        for (at, accumulator) in accumulators.into_iter().enumerate() {
            self.out.at(at);
            if let Err(error) = operator.finish(&Closed::of(windows, at), accumulator, &mut self.out) {
                broken("finish", &error);
            }
            self.out.tell_if_much();
        }
        self.out.finish();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

/// The lane of a [`FieldsWindow`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct FieldsWindowLane<O> {
    operator: Running<O>,
    failures: Failures,
}

impl<O: FieldsWindow> FieldsWindowLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `fold` of the contract.
    pub fn fold(&mut self, batch: &FieldBatch, rows: &[u32], slots: &[u32], accumulators: &Column, new: &[u8]) {
        let operator = self.operator.get();
        let mut accumulators = read_slots::<O::Accumulator>(accumulators, new);
        operator.fold(FieldsFold { batch, rows, slots, accumulators: &mut accumulators, failures: &mut self.failures });
        answer(&mut self.failures, &accumulators);
    }

    /// `merge` of the contract.
    pub fn merge(&mut self, left: &Column, right: &Column) {
        let operator = self.operator.get();
        merge_each(left, right, |accumulator, later| operator.merge(accumulator, later));
    }

    /// `finish` of the contract.
    pub fn finish(&mut self, windows: &Closing) {
        let operator = self.operator.get();
        operator.finish(FieldsFinish { windows, accumulators: read_all(&windows.accumulators) });
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: Window> Default for WindowLane<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: FieldsWindow> Default for FieldsWindowLane<O> {
    fn default() -> Self {
        Self::new()
    }
}

/// The accumulator of a slot. The host checks nothing that it sends itself, so a wrong slot is a breach of the contract.
#[inline(always)]
fn slot_of<A>(accumulators: &mut [A], slot: u32) -> &mut A {
    match accumulators.get_mut(slot as usize) {
        Some(accumulator) => accumulator,
        None => no_slot(slot),
    }
}

#[cold]
#[expect(clippy::panic, reason = "a breach of the contract by the host; the trap is the answer")]
fn no_slot(slot: u32) -> ! {
    panic!("the host folds into slot {slot}, which there is not")
}

/// Rejects a record, which may come once for each of its windows.
#[cold]
fn reject_once(failures: &mut Failures, row: usize, error: &Error) {
    if failures.rows().last() != Some(&(row as u32)) {
        failures.reject(row, error);
    }
}

/// The accumulators of slots, of which some are new.
fn read_slots<A: State + Default>(accumulators: &Column, new: &[u8]) -> Vec<A> {
    let is_new = |slot: usize| new.get(slot / 8).is_some_and(|byte| byte >> (slot % 8) & 1 == 1);
    let read = |(slot, bytes)| if is_new(slot) { A::default() } else { read_one(bytes) };
    accumulators.iter().enumerate().map(read).collect()
}

fn read_all<A: State>(accumulators: &Column) -> Vec<A> {
    accumulators.iter().map(read_one).collect()
}

#[inline]
fn read_one<A: State>(bytes: &[u8]) -> A {
    match A::decode(bytes) {
        Ok(accumulator) => accumulator,
        Err(error) => broken("reading an accumulator", &error),
    }
}

fn write_all<A: State>(accumulators: impl IntoIterator<Item = A>) -> Column {
    let mut column = Column::new();
    for accumulator in accumulators {
        write_one(&accumulator, &mut column);
    }
    column
}

fn write_one<A: State>(accumulator: &A, column: &mut Column) {
    if let Err(error) = accumulator.encode(&mut column.bytes) {
        broken("writing an accumulator", &error);
    }
    column.seal();
}

/// Ends a `fold`.
fn answer<A: State>(failures: &mut Failures, accumulators: &[A]) {
    let mut column = Column::new();
    for accumulator in accumulators {
        write_one(accumulator, &mut column);
    }
    host::accumulators(&column);
    failures.tell();
    metrics::flush();
}

fn merge_each<A: State>(left: &Column, right: &Column, mut merge: impl FnMut(&mut A, A) -> Result<(), Error>) {
    let merged = left.iter().zip(right.iter()).map(|(left, right)| {
        let mut accumulator = read_one(left);
        if let Err(error) = merge(&mut accumulator, read_one(right)) {
            broken("merge", &error);
        }
        accumulator
    });
    host::accumulators(&write_all(merged));
    metrics::flush();
}

/// The last microsecond of each window, the event time of its results.
fn last_times(windows: &Closing) -> Vec<i64> {
    windows.ends.iter().map(|end| end.saturating_sub(1)).collect()
}
