//! The [`Port`], by which a `process` or `source` gives records by field.

use std::fmt;
use std::rc::Rc;

use super::ports::Start;
use super::segment::Segment;
use super::{FieldBatch, IntoFields};
use crate::attributes::OwnAttributes;
use crate::operator::FLUSH_BYTES;
use crate::{Error, IntoPayload, host};

/// Number of records at which a port gives them to the host.
const FLUSH_ROWS: usize = 4096;

/// An output of a `process` or `source` whose records are by field. Each output is a parameter of the operator's
/// function: the first is the main output, and the others are side outputs of the parameters' names.
///
/// In a `process`, a new record inherits key, event time and headers of the record being processed. [`key`](Self::key),
/// [`timestamp`](Self::timestamp) and [`header`](Self::header) set them instead, in any combination:
///
/// ```
/// use sage_guest::{Error, Port, Record};
///
/// #[derive(Record)]
/// struct Reading<'a> { sensor: &'a str, celsius: f64 }
///
/// #[derive(Record)]
/// #[record(extends)]
/// struct Alert { above: f64 }
///
/// /// Passes readings on. A hot reading goes to the side output `hot` too, with all its fields.
/// #[sage_guest::process]
/// fn alarm(reading: Reading, out: &mut Port<Reading>, hot: &mut Port<Alert>) -> Result<(), Error> {
///     if reading.celsius > 30.0 {
///         hot.key("alarm").emit(Alert { above: reading.celsius - 30.0 })?;
///     }
///     out.emit(reading)
/// }
/// ```
pub struct Port<R: IntoFields> {
    /// Number of the output: 0 is the main one.
    number: u32,
    /// Records in order. All records of a segment have a key or none has, and the same for event time.
    segments: Vec<Segment<R::Out>>,
    /// Number of segments, and of rows in the last segment, when the current record began.
    mark: (usize, usize),
    /// The batch being processed; `None` in `end` and in a source. `row` is the current record of the batch.
    input: Option<Rc<FieldBatch>>,
    row: usize,
    /// Whether there is a batch and no current record, in `process_batch` outside of `each`.
    outside: bool,
    streaming: bool,
    limits: (usize, usize),
    /// Records and bytes of this call.
    emitted: (usize, usize),
    own: OwnAttributes,
}

impl<R: IntoFields> Port<R> {
    /// Makes an output.
    #[doc(hidden)]
    pub fn new(number: u32) -> Self {
        Self {
            number,
            segments: Vec::new(),
            mark: (0, 0),
            input: None,
            row: 0,
            outside: false,
            streaming: false,
            limits: (usize::MAX, usize::MAX),
            emitted: (0, 0),
            own: OwnAttributes::default(),
        }
    }

    /// Emits a record.
    ///
    /// # Errors
    /// In `process_batch`, outside of [`Batch::each`](crate::Batch::each): the output comes from no record.
    #[inline]
    pub fn emit<G: IntoFields<Out = R::Out>>(&mut self, record: G) -> Result<(), Error> {
        self.append(false, record)
    }

    /// Begins a record with its own key.
    pub fn key(&mut self, key: impl IntoPayload) -> PortEmission<'_, R> {
        PortEmission::new(self).key(key)
    }

    /// Begins a record with this key, or without a key if `key` is `None`, as a scan of keyed state returns it.
    pub fn key_or_none(&mut self, key: Option<&[u8]>) -> PortEmission<'_, R> {
        match key {
            Some(key) => self.key(key),
            None => PortEmission::new(self),
        }
    }

    /// Begins a record with its own event time, in microseconds since the Unix epoch.
    pub fn timestamp(&mut self, microseconds: i64) -> PortEmission<'_, R> {
        PortEmission::new(self).timestamp(microseconds)
    }

    /// Begins a record with its own headers.
    pub fn header(&mut self, name: &str, value: &[u8]) -> PortEmission<'_, R> {
        PortEmission::new(self).header(name, value)
    }

    /// Returns whether this call has emitted on this port as many records or bytes as the host asked for. A source may
    /// stop then, or go on. The SDK calls `next` again until the host has as many records as it asked for.
    pub fn is_full(&self) -> bool {
        self.emitted.0 >= self.limits.0 || self.emitted.1 >= self.limits.1
    }

    pub(crate) fn begin(&mut self, start: &Start<'_>) {
        self.input = start.input.cloned();
        (self.row, self.mark, self.emitted) = (0, (0, 0), (0, 0));
        self.outside = false;
        (self.streaming, self.limits) = (start.streaming, start.limits);
    }

    #[inline(always)]
    pub(crate) fn at(&mut self, row: usize) {
        (self.row, self.outside) = (row, false);
        self.mark = (self.segments.len(), self.segments.last().map_or(0, Segment::rows));
    }

    pub(crate) fn leave(&mut self) {
        self.outside = true;
    }

    #[cold]
    pub(crate) fn take_back(&mut self) {
        let (segments, rows) = self.mark;
        let dropped = self.segments.iter().skip(segments).map(Segment::rows).sum::<usize>();
        self.segments.truncate(segments);
        let last = self.segments.last_mut().map_or(0, |last| last.truncate(rows));
        self.emitted.0 = self.emitted.0.saturating_sub(dropped + last);
    }

    #[inline(always)]
    pub(crate) fn tell_if_much(&mut self) {
        let much = |last: &Segment<R::Out>| last.rows() >= FLUSH_ROWS || last.bytes() >= FLUSH_BYTES;
        // A segment ends where keys come or go: several of them are much too.
        if self.segments.len() > 16 || self.segments.last().is_some_and(much) {
            self.tell();
        }
    }

    pub(crate) fn tell(&mut self) {
        let has_parents = self.input.is_some();
        for segment in self.segments.drain(..) {
            let (batch, parents) = segment.finish();
            if !parents.is_empty() {
                host::field_emit(self.number, &batch, has_parents.then_some(parents.as_slice()));
            }
        }
        self.mark = (0, 0);
    }

    pub(crate) fn emitted(&self) -> (usize, usize) {
        self.emitted
    }

    /// Appends a record. With `own`, it has the attributes that [`PortEmission`] has set.
    #[inline]
    fn append<G: IntoFields<Out = R::Out>>(&mut self, own: bool, record: G) -> Result<(), Error> {
        if self.outside {
            return Err(no_record());
        }
        let mut attributes = self.input.as_deref().map(|batch| batch.attributes(self.row)).unwrap_or_default();
        if own {
            attributes = self.own.over(attributes);
        }
        let (key, timestamp) = (attributes.key.is_some(), attributes.timestamp.is_some());
        if !self.segments.last().is_some_and(|last| last.takes(key, timestamp)) {
            self.segments.push(Segment::new(key, timestamp));
        }
        if let Some(last) = self.segments.last_mut() {
            self.emitted.1 += last.push(record, attributes, self.row as u32);
            self.emitted.0 += 1;
        }
        if self.streaming {
            self.tell_if_much();
        }
        Ok(())
    }
}

#[cold]
fn no_record() -> Error {
    "an output comes from a record: emit it in the closure of `each`, and pass its port to `each`".into()
}

impl<R: IntoFields> fmt::Debug for Port<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("number", &self.number).field("emitted", &self.emitted).finish_non_exhaustive()
    }
}

/// A record under construction; [`emit`](Self::emit) finishes it.
#[derive(Debug)]
#[must_use = "nothing is emitted before `.emit(record)`"]
pub struct PortEmission<'p, R: IntoFields> {
    port: &'p mut Port<R>,
    error: Option<Error>,
}

impl<'p, R: IntoFields> PortEmission<'p, R> {
    fn new(port: &'p mut Port<R>) -> Self {
        port.own.begin();
        Self { port, error: None }
    }

    /// Sets the key.
    pub fn key(mut self, key: impl IntoPayload) -> Self {
        if let Err(error) = self.port.own.set_key(key) {
            self.error = Some(error);
        }
        self
    }

    /// Sets the event time, in microseconds since the Unix epoch.
    pub fn timestamp(self, microseconds: i64) -> Self {
        self.port.own.set_timestamp(microseconds);
        self
    }

    /// Adds a header. The first call drops the headers that the record would inherit.
    pub fn header(self, name: &str, value: &[u8]) -> Self {
        self.port.own.add_header(name, value);
        self
    }

    /// Emits the record.
    ///
    /// # Errors
    /// The key cannot be written, or as [`Port::emit`].
    pub fn emit<G: IntoFields<Out = R::Out>>(self, record: G) -> Result<(), Error> {
        match self.error {
            Some(error) => Err(error),
            None => self.port.append(true, record),
        }
    }
}
