use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use sage_batch::{Batch, Origin};

/// Where records come from.
pub trait Source: Send {
    /// Fills the (empty) batch with up to `max_records` records and about `max_bytes` bytes of payload. Blocks at most
    /// about 100 ms: with nothing at hand it answers [`Filled::Idle`], so that a drain is noticed.
    ///
    /// # Errors
    /// What cannot be read; records filled in before the error are still sent. The pipeline fails, unless the error says what is
    /// [left behind](ConnectorError::unreadable) and the source's `on_error` lets that pass: then it is asked for more.
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError>;

    /// Whether [`Source::fill`] may wait for anything: a disk, a pipe, a network. One that does not, and only computes, may share its thread with what comes
    /// behind it.
    fn waits(&self) -> bool {
        true
    }

    /// How far it is, for the progress display.
    fn progress(&self) -> SourceProgress;

    /// What the source calls the place of record number `offset` (a line of a file, say), for messages and dead letters.
    fn describe(&self, offset: u64) -> String {
        self.places().map_or_else(|| format!("record {offset}"), |places| places.describe(offset))
    }

    /// What [`Source::describe`] knows, for whoever is not on the source's thread: a dead letter is written by the lane
    /// where the record failed, while the source goes on reading. `None` where there is nothing but the record's number.
    fn places(&self) -> Option<Arc<dyn Places>> {
        None
    }
}

/// Where the records of a source lie, as its users call it. Grows while the source reads.
pub trait Places: Send + Sync + fmt::Debug {
    /// The place of record number `offset` (from 0), which the source has already handed out.
    fn describe(&self, offset: u64) -> String;
}

/// What [`Source::fill`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// There may be more: ask again.
    More,
    /// Nothing now (the batch may still hold records): ask again after this time.
    Idle(Duration),
    /// There will never be more (the batch may hold the last records).
    End,
}

/// How far a source is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// What it has read, in its own unit.
    pub done: u64,
    /// How much there is, if it ends and that is known.
    pub total: Option<u64>,
    /// Whether the unit is bytes (records otherwise).
    pub bytes: bool,
    /// Whether it ends by itself; one that does not is ended by a drain, and the run is complete all the same.
    pub bounded: bool,
}

/// Where records go.
pub trait Sink: Send {
    /// Takes a batch.
    ///
    /// # Errors
    /// What cannot be written; the pipeline fails.
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError>;

    /// Nothing waits at present: what is buffered should become visible.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn flush(&mut self) -> Result<(), ConnectorError>;

    /// How many of the records that it took are written by now, also after an error: the run's summary counts these as handled. `None` for a
    /// sink that has written what it took as soon as [`Sink::write`] returns `Ok`. After [`Sink::finish`] the number may be smaller
    /// than before: the file system may refuse late what it had taken.
    fn written(&self) -> Option<u64> {
        None
    }

    /// The run is over. Called exactly once, last.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError>;
}

/// How the run went, as far as a sink must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkOutcome {
    /// All input has arrived: make the output complete.
    Complete,
    /// The pipeline failed or was interrupted: what is there is not the whole.
    Partial,
}

/// What a connector could not do.
#[derive(Debug, Error)]
#[error("{what}")]
pub struct ConnectorError {
    /// What, with the place and the value, in one line.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The cause below.
    #[source]
    pub cause: Option<io::Error>,
    /// The record that a sink will not write, where it is one record's fault.
    pub record: Option<Origin>,
    /// What a source leaves behind where it can go on.
    pub unreadable: Option<Box<Unreadable>>,
}

/// What a source could not read, and leaves behind: its next records come after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// How much it is.
    pub extent: Extent,
    /// Where it is, as [`Places::describe`] would call it.
    pub place: String,
    /// Its bytes, or the first of them where it is long.
    pub bytes: Vec<u8>,
}

/// How much a source leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What would have been one record.
    Record,
    /// A file, or all that is left of it: nobody knows how many records.
    File,
}

impl Unreadable {
    /// What would have been one record.
    #[must_use]
    pub fn record(place: impl Into<String>, bytes: &[u8]) -> Self {
        Self { extent: Extent::Record, place: place.into(), bytes: bytes.to_vec() }
    }

    /// All that is left of a file.
    #[must_use]
    pub fn rest_of(place: impl Into<String>) -> Self {
        Self { extent: Extent::File, place: place.into(), bytes: Vec::new() }
    }
}

impl ConnectorError {
    /// An error without hint or cause.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, cause: None, record: None, unreadable: None }
    }

    /// An error that the operating system (or an unpacker) gave the reason for.
    #[must_use]
    pub fn caused(what: impl Into<String>, cause: io::Error) -> Self {
        Self { what: what.into(), hint: None, cause: Some(cause), record: None, unreadable: None }
    }

    /// What and why in one line, for places that keep no chain of causes.
    #[must_use]
    pub fn in_full(&self) -> String {
        self.cause.as_ref().map_or_else(|| self.what.clone(), |cause| format!("{}: {cause}", self.what))
    }

    /// The same, and the source goes on behind this.
    #[must_use]
    pub fn leaving_behind(self, unreadable: Unreadable) -> Self {
        Self { unreadable: Some(Box::new(unreadable)), ..self }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, and it is this record's fault.
    #[must_use]
    pub fn at(mut self, record: Origin) -> Self {
        self.record = Some(record);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_full_has_its_cause_once() {
        assert_eq!(ConnectorError::new("no").hint("yes").in_full(), "no");
        let error = ConnectorError::caused("cannot write to \"out\"", io::Error::other("disk full"));
        assert_eq!(error.in_full(), "cannot write to \"out\": disk full");
        assert_eq!(error.to_string(), "cannot write to \"out\"");
    }
}
