//! Where a `process` or `source` puts its records.
//!
//! Flow: [`Emitter::emit`] appends to the last *segment* of a port; a segment is a batch whose records all have a key or all have
//! none, and likewise event time, because the boundary knows no column with holes. Between records, at about 64 KiB, and before
//! the call returns, segments are told to the host in order.
//!
//! Invariant: what a rejected record emitted is taken back, so nothing is told while a record is being processed.

mod port;

use std::rc::Rc;

use port::Port;

use crate::operator::FLUSH_BYTES;
use crate::record::write_sized;
use crate::types::Batch;
use crate::{Error, IntoPayload, host};

/// Where a `process` or `source` puts its records.
///
/// [`emit`](Self::emit) writes to the main output. In a `process` the new record inherits key, event time and headers of the
/// record being processed; [`to`](Self::to), [`key`](Self::key), [`timestamp`](Self::timestamp) and
/// [`header`](Self::header) give it a port, key, time or headers of its own, in any combination:
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
    /// The batch being processed and the record in it; none in `end` and in a source.
    input: Option<Rc<Batch>>,
    row: usize,
    /// Whether nothing will be taken back, so that a long call can tell as it goes.
    streaming: bool,
    rows: usize,
    bytes: usize,
    limits: (usize, usize),
    key: Vec<u8>,
    headers: Vec<u8>,
}

impl Emitter {
    /// An emitter with these side outputs.
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
            key: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// One more record on the main output.
    #[inline]
    pub fn emit(&mut self, payload: impl IntoPayload) -> Result<(), Error> {
        self.append(0, Own::default(), payload)
    }

    /// Begin a record on a side output, by the name it was declared with.
    pub fn to(&mut self, port: &str) -> Emission<'_> {
        let found = self.names.iter().position(|name| *name == port);
        let mut emission = Emission::new(self);
        match found {
            Some(index) => emission.port = index + 1,
            None => emission.error = Some(unknown_port(emission.out.names, port)),
        }
        emission
    }

    /// Begin a record with a key of its own.
    pub fn key(&mut self, key: impl IntoPayload) -> Emission<'_> {
        Emission::new(self).key(key)
    }

    /// Begin a record with a key of its own, or with none: what a walk over keyed state tells.
    pub fn key_or_none(&mut self, key: Option<&[u8]>) -> Emission<'_> {
        match key {
            Some(key) => self.key(key),
            None => Emission::new(self),
        }
    }

    /// Begin a record with an event time of its own, in microseconds since the Unix epoch.
    pub fn timestamp(&mut self, microseconds: i64) -> Emission<'_> {
        Emission::new(self).timestamp(microseconds)
    }

    /// Begin a record with headers of its own.
    pub fn header(&mut self, name: &str, value: &[u8]) -> Emission<'_> {
        Emission::new(self).header(name, value)
    }

    /// Whether the host has what it asked for in this call. A source may stop there, and need not: `next` is called
    /// again until it is so.
    pub fn is_full(&self) -> bool {
        self.rows >= self.limits.0 || self.bytes >= self.limits.1
    }

    /// How many records were emitted in this call, of all ports.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A batch comes in.
    pub(crate) fn begin(&mut self, input: &Rc<Batch>) {
        self.input = Some(Rc::clone(input));
        self.restart(false, (usize::MAX, usize::MAX));
    }

    /// A call without a batch: `end`, where nothing is taken back, or a source's `next`, with what it was asked for.
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

    /// What is emitted from here on comes from this record, until the next.
    #[inline]
    pub(crate) fn at(&mut self, row: usize) {
        self.row = row;
        for port in &mut self.ports {
            port.mark();
        }
    }

    /// Take back what was emitted since [`at`](Self::at).
    #[cold]
    pub(crate) fn take_back(&mut self) {
        for port in &mut self.ports {
            self.rows = self.rows.saturating_sub(port.take_back());
        }
    }

    /// Tell the host, if much has gathered.
    #[inline]
    pub(crate) fn tell_if_much(&mut self) {
        if self.ports.iter().any(|port| port.bytes() >= FLUSH_BYTES) {
            self.tell();
        }
    }

    /// Tell the host all there is.
    pub(crate) fn tell(&mut self) {
        let has_parents = self.input.is_some();
        for (index, port) in self.ports.iter_mut().enumerate() {
            port.drain(|batch, parents| {
                host::emit(index as u32, batch, has_parents.then_some(parents));
            });
        }
    }

    /// The call is over.
    pub(crate) fn finish(&mut self) {
        self.tell();
        self.input = None;
    }

    #[inline]
    fn append(&mut self, port: usize, own: Own, payload: impl IntoPayload) -> Result<(), Error> {
        let mut key = None;
        let mut timestamp = None;
        let mut headers: &[u8] = &[];
        if let Some(batch) = self.input.as_deref() {
            key = batch.keys.as_ref().and_then(|keys| keys.get(self.row));
            timestamp = batch.timestamps.as_ref().and_then(|timestamps| timestamps.get(self.row).copied());
            if let Some(column) = &batch.headers {
                headers = column.get(self.row).unwrap_or_default();
            }
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
        let Some(port) = self.ports.get_mut(port) else {
            return Ok(());
        };
        self.bytes += port.append(payload, key, timestamp, headers, self.row as u32)?;
        self.rows += 1;
        if self.streaming {
            self.tell_if_much();
        }
        Ok(())
    }
}

/// What a record has of its own; key and headers lie in the emitter.
#[derive(Debug, Default, Clone, Copy)]
struct Own {
    key: bool,
    timestamp: Option<i64>,
    headers: bool,
}

/// A record being described; [`emit`](Self::emit) ends it.
#[derive(Debug)]
#[must_use = "nothing is emitted before `.emit(payload)`"]
pub struct Emission<'e> {
    out: &'e mut Emitter,
    port: usize,
    own: Own,
    error: Option<Error>,
}

impl<'e> Emission<'e> {
    fn new(out: &'e mut Emitter) -> Self {
        Self { out, port: 0, own: Own::default(), error: None }
    }

    /// Give it a key.
    pub fn key(mut self, key: impl IntoPayload) -> Self {
        self.out.key.clear();
        match key.write(&mut self.out.key) {
            Ok(()) => self.own.key = true,
            Err(error) => self.error = Some(error.context("key")),
        }
        self
    }

    /// Give it an event time, in microseconds since the Unix epoch.
    pub fn timestamp(mut self, microseconds: i64) -> Self {
        self.own.timestamp = Some(microseconds);
        self
    }

    /// Give it one more header. The first one stands in place of those it would inherit.
    pub fn header(mut self, name: &str, value: &[u8]) -> Self {
        if !self.own.headers {
            self.out.headers.clear();
            self.own.headers = true;
        }
        write_sized(name.as_bytes(), &mut self.out.headers);
        write_sized(value, &mut self.out.headers);
        self
    }

    /// Emit it. An unknown port, or a key or payload that cannot be written, is an error.
    pub fn emit(self, payload: impl IntoPayload) -> Result<(), Error> {
        match self.error {
            Some(error) => Err(error),
            None => self.out.append(self.port, self.own, payload),
        }
    }
}

#[cold]
fn unknown_port(names: &[&str], port: &str) -> Error {
    Error::new(format_args!(
        "no side output {port:?}; declared are {names:?}, add it to `ports = [..]` of the attribute"
    ))
}
