//! The [`Emitter`], by which a `process` or `source` gives its records.
//!
//! Flow: [`Emitter::emit`] appends to the last *segment* of a port. A segment is a batch in which either all
//! records have a key or none has, and the same for event time, because a column in the contract has no gaps.
//! The segments go to the host in order: between records at about 64 KiB, and before the call returns.
//!
//! Invariant: the outputs of a rejected record are taken back. Nothing goes to the host while a record is being
//! processed.

mod port;

use std::rc::Rc;

use port::Port;

use crate::attributes::OwnAttributes;
use crate::operator::FLUSH_BYTES;
use crate::types::Batch;
use crate::{Error, IntoPayload, host};

/// The output of a `process` or `source`.
///
/// [`emit`](Self::emit) writes to the main output. In a `process`, the new record inherits key, event time and
/// headers of the record being processed. [`to`](Self::to), [`key`](Self::key), [`timestamp`](Self::timestamp)
/// and [`header`](Self::header) set port, key, event time and headers instead, in any combination:
///
/// ```
/// # use sage_guest::{Emitter, Error};
/// #[sage_guest::process(ports = ["late"])]
/// fn sort(reading: &str, out: &mut Emitter) -> Result<(), Error> {
///     if reading.starts_with('!') {
///         out.to("late").key("alarm").emit(reading)
///     } else {
///         out.emit(reading)
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Emitter {
    names: &'static [&'static str],
    ports: Vec<Port>,
    /// The batch being processed; `None` in `end` and in a source. `row` is the current record of the batch.
    input: Option<Rc<Batch>>,
    row: usize,
    /// Whether outputs are never taken back, so that a long call can send them to the host early.
    streaming: bool,
    rows: usize,
    bytes: usize,
    limits: (usize, usize),
    own: OwnAttributes,
}

impl Emitter {
    /// Creates an emitter with these side outputs.
    pub(crate) fn new(names: &'static [&'static str]) -> Self {
        Self {
            names,
            ports: std::iter::repeat_with(Port::default).take(1 + names.len()).collect(),
            input: None,
            row: 0,
            streaming: false,
            rows: 0,
            bytes: 0,
            limits: (usize::MAX, usize::MAX),
            own: OwnAttributes::default(),
        }
    }

    /// Emits a record on the main output.
    ///
    /// # Errors
    /// The payload cannot be written.
    #[inline]
    pub fn emit(&mut self, payload: impl IntoPayload) -> Result<(), Error> {
        self.append(0, false, payload)
    }

    /// Begins a record on a side output, named as in `ports = [..]`.
    pub fn to(&mut self, port: &str) -> Emission<'_> {
        let found = self.names.iter().position(|name| *name == port);
        let mut emission = Emission::new(self);
        match found {
            Some(index) => emission.port = index + 1,
            None => emission.error = Some(unknown_port(emission.out.names, port)),
        }
        emission
    }

    /// Begins a record with its own key.
    pub fn key(&mut self, key: impl IntoPayload) -> Emission<'_> {
        Emission::new(self).key(key)
    }

    /// Begins a record with this key, or without a key if `key` is `None`, as a scan of keyed state returns it.
    pub fn key_or_none(&mut self, key: Option<&[u8]>) -> Emission<'_> {
        match key {
            Some(key) => self.key(key),
            None => Emission::new(self),
        }
    }

    /// Begins a record with its own event time, in microseconds since the Unix epoch.
    pub fn timestamp(&mut self, microseconds: i64) -> Emission<'_> {
        Emission::new(self).timestamp(microseconds)
    }

    /// Begins a record with its own headers.
    pub fn header(&mut self, name: &str, value: &[u8]) -> Emission<'_> {
        Emission::new(self).header(name, value)
    }

    /// Returns whether this call has emitted as many records or bytes as the host asked for. A source may stop
    /// then, or go on. The SDK calls `next` again until the emitter is full.
    pub fn is_full(&self) -> bool {
        self.rows >= self.limits.0 || self.bytes >= self.limits.1
    }

    /// Number of records emitted in this call, on all ports together.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Starts a call with a batch.
    pub(crate) fn begin(&mut self, input: &Rc<Batch>) {
        self.input = Some(Rc::clone(input));
        self.restart(false, (usize::MAX, usize::MAX));
    }

    /// Starts a call without a batch. The call is either `end`, in which nothing is taken back, or a source's
    /// `next` with the limits that the host asked for.
    pub(crate) fn begin_without_input(&mut self, streaming: bool, limits: (usize, usize)) {
        self.input = None;
        self.restart(streaming, limits);
    }

    fn restart(&mut self, streaming: bool, limits: (usize, usize)) {
        self.row = 0;
        self.rows = 0;
        self.bytes = 0;
        self.streaming = streaming;
        self.limits = limits;
    }

    /// Sets the input record from which the following outputs come.
    #[inline]
    pub(crate) fn at(&mut self, row: usize) {
        self.row = row;
        for port in &mut self.ports {
            port.mark();
        }
    }

    /// Takes back the outputs since [`at`](Self::at).
    #[cold]
    pub(crate) fn take_back(&mut self) {
        for port in &mut self.ports {
            self.rows = self.rows.saturating_sub(port.take_back());
        }
    }

    /// Sends the outputs to the host if a port holds at least [`FLUSH_BYTES`].
    #[inline]
    pub(crate) fn tell_if_much(&mut self) {
        if self.ports.iter().any(|port| port.bytes() >= FLUSH_BYTES) {
            self.tell();
        }
    }

    /// Sends all outputs to the host.
    pub(crate) fn tell(&mut self) {
        let has_parents = self.input.is_some();
        for (index, port) in self.ports.iter_mut().enumerate() {
            port.drain(|batch, parents| {
                host::emit(index as u32, batch, has_parents.then_some(parents));
            });
        }
    }

    /// Ends the call.
    pub(crate) fn finish(&mut self) {
        self.tell();
        self.input = None;
    }

    /// Appends a record. With `own`, it has the attributes that [`Emission`] has set.
    #[inline]
    fn append(&mut self, port: usize, own: bool, payload: impl IntoPayload) -> Result<(), Error> {
        let mut attributes = self.input.as_deref().map(|batch| batch.attributes(self.row)).unwrap_or_default();
        if own {
            attributes = self.own.over(attributes);
        }
        let Some(port) = self.ports.get_mut(port) else {
            return Ok(());
        };
        self.bytes += port.append(payload, attributes, self.row as u32)?;
        self.rows += 1;
        if self.streaming {
            self.tell_if_much();
        }
        Ok(())
    }
}

/// A record under construction; [`emit`](Self::emit) finishes it.
#[derive(Debug)]
#[must_use = "nothing is emitted before `.emit(payload)`"]
pub struct Emission<'e> {
    out: &'e mut Emitter,
    port: usize,
    error: Option<Error>,
}

impl<'e> Emission<'e> {
    fn new(out: &'e mut Emitter) -> Self {
        out.own.begin();
        Self { out, port: 0, error: None }
    }

    /// Sets the key.
    pub fn key(mut self, key: impl IntoPayload) -> Self {
        if let Err(error) = self.out.own.set_key(key) {
            self.error = Some(error);
        }
        self
    }

    /// Sets the event time, in microseconds since the Unix epoch.
    pub fn timestamp(self, microseconds: i64) -> Self {
        self.out.own.set_timestamp(microseconds);
        self
    }

    /// Adds a header. The first call drops the headers that the record would inherit.
    pub fn header(self, name: &str, value: &[u8]) -> Self {
        self.out.own.add_header(name, value);
        self
    }

    /// Emits the record.
    ///
    /// # Errors
    /// The port is unknown, or the key or the payload cannot be written.
    pub fn emit(self, payload: impl IntoPayload) -> Result<(), Error> {
        match self.error {
            Some(error) => Err(error),
            None => self.out.append(self.port, true, payload),
        }
    }
}

#[cold]
fn unknown_port(names: &[&str], port: &str) -> Error {
    Error::new(format_args!(
        "no side output {port:?}; declared are {names:?}, add it to `ports = [..]` of the attribute"
    ))
}
