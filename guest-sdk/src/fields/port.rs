//! The [`Port`], by which a `process` or `source` gives records by field.

use std::fmt;
use std::rc::Rc;

use super::ports::Start;
use super::segment::Segment;
use super::{FieldBatch, IntoFields};
use crate::operator::FLUSH_BYTES;
use crate::record::write_sized;
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
    streaming: bool,
    limits: (usize, usize),
    /// Records and bytes of this call.
    emitted: (usize, usize),
    key: Vec<u8>,
    headers: Vec<u8>,
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
            streaming: false,
            limits: (usize::MAX, usize::MAX),
            emitted: (0, 0),
            key: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Emits a record.
    ///
    /// # Errors
    /// None for now; the result is that of [`Emitter::emit`](crate::Emitter::emit).
    #[inline]
    pub fn emit<G: IntoFields<Out = R::Out>>(&mut self, record: G) -> Result<(), Error> {
        self.append(Own::default(), record);
        Ok(())
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
        (self.streaming, self.limits) = (start.streaming, start.limits);
    }

    #[inline(always)]
    pub(crate) fn at(&mut self, row: usize) {
        self.row = row;
        self.mark = (self.segments.len(), self.segments.last().map_or(0, Segment::rows));
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

    #[inline]
    fn append<G: IntoFields<Out = R::Out>>(&mut self, own: Own, record: G) {
        let (mut key, mut timestamp, mut headers): (Option<&[u8]>, Option<i64>, &[u8]) = (None, None, &[]);
        if let Some(batch) = self.input.as_deref() {
            key = batch.keys.as_ref().and_then(|keys| keys.get(self.row));
            timestamp = batch.timestamps.as_ref().and_then(|timestamps| timestamps.get(self.row).copied());
            headers = batch.headers.as_ref().and_then(|headers| headers.get(self.row)).unwrap_or_default();
        }
        if own.key {
            key = Some(&self.key);
        }
        if own.timestamp.is_some() {
            timestamp = own.timestamp;
        }
        if own.headers {
            headers = &self.headers;
        }
        if !self.segments.last().is_some_and(|last| last.takes(key.is_some(), timestamp.is_some())) {
            self.segments.push(Segment::new(key.is_some(), timestamp.is_some()));
        }
        if let Some(last) = self.segments.last_mut() {
            self.emitted.1 += last.push(record, key, timestamp, headers, self.row as u32);
            self.emitted.0 += 1;
        }
        if self.streaming {
            self.tell_if_much();
        }
    }
}

impl<R: IntoFields> fmt::Debug for Port<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("number", &self.number).field("emitted", &self.emitted).finish_non_exhaustive()
    }
}

/// The parts that a record does not inherit. The bytes of its key and headers are in the port.
#[derive(Debug, Default, Clone, Copy)]
struct Own {
    key: bool,
    timestamp: Option<i64>,
    headers: bool,
}

/// A record under construction; [`emit`](Self::emit) finishes it.
#[derive(Debug)]
#[must_use = "nothing is emitted before `.emit(record)`"]
pub struct PortEmission<'p, R: IntoFields> {
    port: &'p mut Port<R>,
    own: Own,
    error: Option<Error>,
}

impl<'p, R: IntoFields> PortEmission<'p, R> {
    fn new(port: &'p mut Port<R>) -> Self {
        Self { port, own: Own::default(), error: None }
    }

    /// Sets the key.
    pub fn key(mut self, key: impl IntoPayload) -> Self {
        self.port.key.clear();
        match key.write(&mut self.port.key) {
            Ok(()) => self.own.key = true,
            Err(error) => self.error = Some(error.context("key")),
        }
        self
    }

    /// Sets the event time, in microseconds since the Unix epoch.
    pub fn timestamp(mut self, microseconds: i64) -> Self {
        self.own.timestamp = Some(microseconds);
        self
    }

    /// Adds a header. The first call drops the headers that the record would inherit.
    pub fn header(mut self, name: &str, value: &[u8]) -> Self {
        if !self.own.headers {
            self.port.headers.clear();
            self.own.headers = true;
        }
        write_sized(name.as_bytes(), &mut self.port.headers);
        write_sized(value, &mut self.port.headers);
        self
    }

    /// Emits the record.
    ///
    /// # Errors
    /// The key cannot be written.
    pub fn emit<G: IntoFields<Out = R::Out>>(self, record: G) -> Result<(), Error> {
        match self.error {
            Some(error) => Err(error),
            None => {
                self.port.append(self.own, record);
                Ok(())
            }
        }
    }
}
