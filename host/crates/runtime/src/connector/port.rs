use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::ReadFields;
use sage_batch::{Batch, Origin};

/// A source of records.
pub trait Source: Send {
    /// Fills the empty batch with up to `max_records` records and about `max_bytes` bytes of payload. Blocks at
    /// most about 100 ms; without records it returns [`Filled::Idle`], so that a drain is noticed.
    ///
    /// # Errors
    /// Input that cannot be read. Records that were filled in before the error are still sent. The pipeline
    /// fails, unless the error names an [unreadable part](ConnectorError::unreadable) and the source's
    /// `on_error` tolerates it; then `fill` is called again.
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError>;

    /// Swaps `fields` with the fields of the records that the last [`Source::fill`] added. `false` if this source does
    /// not read fields: the engine then reads them from the payloads.
    fn take_fields(&mut self, _fields: &mut ReadFields) -> bool {
        false
    }

    /// Whether [`Source::fill`] may wait for a disk, a pipe or a network. A source that only computes may share
    /// its thread with the stages after it.
    fn waits(&self) -> bool {
        true
    }

    /// The file whose input the source waits for, after it returned [`Filled::Idle`]: [`Source::fill`] is called again
    /// when the file has input. `None` if the source knows the time only.
    fn awaited(&self) -> Option<Arc<File>> {
        None
    }

    /// Progress of the source, for the progress display.
    fn progress(&self) -> SourceProgress;

    /// Describes the place of record number `offset`, such as a line of a file, for messages and dead letters.
    fn describe(&self, offset: u64) -> String {
        self.places().map_or_else(|| format!("record {offset}"), |places| places.describe(offset))
    }

    /// The input, as far as a later run must find it unchanged to read the same records again in the same order. `None`
    /// if no later run can read them again, as from a pipe.
    ///
    /// # Errors
    /// The input cannot be read.
    fn identity(&self) -> Result<Option<Vec<u8>>, ConnectorError> {
        Ok(None)
    }

    /// Compares the input with the [identity](Source::identity) that an earlier run saved.
    ///
    /// # Errors
    /// The records of the earlier run cannot be read again from this input.
    fn require_same(&self, _saved: &[u8]) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// Passes over this many first records without making them. Returns `false` if the source cannot: the engine then
    /// reads and drops them.
    fn skip(&mut self, _records: u64) -> bool {
        false
    }

    /// The place behind the records that were given so far, so that a later run can [go there](Source::seek). `None` if
    /// a later run has to read and drop them.
    fn position(&self) -> Option<String> {
        None
    }

    /// Goes to the place of an earlier run, behind its `records` records. Called before the first [`Source::fill`].
    ///
    /// # Errors
    /// The input is not what it was.
    fn seek(&mut self, _position: &str, _records: u64) -> Result<(), ConnectorError> {
        Err(ConnectorError::new("this source cannot go to a position").hint("start anew: --from none"))
    }

    /// The places for other threads. A dead letter is written by the lane in which the record failed, while the
    /// source continues to read. `None` if the record's number is all that is known.
    fn places(&self) -> Option<Arc<dyn Places>> {
        None
    }
}

/// The places of a source's records, in terms of its users. Grows while the source reads.
pub trait Places: Send + Sync + fmt::Debug {
    /// Describes the place of record number `offset` (from 0), which the source must already have returned.
    fn describe(&self, offset: u64) -> String;
}

/// The result of [`Source::fill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// There may be more records: call again.
    More,
    /// No records at present (the batch may still hold some): call again after this time.
    Idle(Duration),
    /// There are no more records after those in the batch.
    End,
}

/// The progress of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// Amount that was read, in the source's own unit.
    pub done: u64,
    /// Total amount, if the source ends and the amount is known.
    pub total: Option<u64>,
    /// Whether the unit is bytes; otherwise it is records.
    pub bytes: bool,
    /// Whether the source ends by itself. Another source is ended by a drain, and the run still counts as
    /// complete.
    pub bounded: bool,
}

/// A sink of records.
pub trait Sink: Send {
    /// Takes a batch.
    ///
    /// # Errors
    /// The batch cannot be written; the pipeline fails.
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError>;

    /// Makes buffered records visible. Called when no batch is waiting.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn flush(&mut self) -> Result<(), ConnectorError>;

    /// Makes all accepted records durable, as part of this epoch. Returns what a later run needs to go on exactly
    /// behind them, for [`open_sink`](super::open_sink). With nothing, that run writes what came after them a second
    /// time.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn save(&mut self, _epoch: u64) -> Result<Vec<u8>, ConnectorError> {
        self.flush().map(|()| Vec::new())
    }

    /// Closes what is closed at the end of the input, also if more records may come: called before the last
    /// [`Sink::save`], and before that of a savepoint.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn close(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// Time after which [`Sink::flush`] must be called although no batch has come. `None` if nothing is due.
    fn due(&self) -> Option<Duration> {
        None
    }

    /// What shows the output of a whole epoch to others. `None` for a sink that shows records as it writes them.
    fn committer(&self) -> Option<Arc<dyn Committer>> {
        None
    }

    /// Number of accepted records that are written by now, also after an error. The run's summary counts these
    /// as handled. `None` for a sink that has written a batch as soon as [`Sink::write`] returns `Ok`. After
    /// [`Sink::finish`] the number may be smaller than before, because the file system may report late that it
    /// could not keep bytes.
    fn written(&self) -> Option<u64> {
        None
    }

    /// Ends the run. Called exactly once, last.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError>;
}

/// Where a sink begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct SinkStart<'a> {
    /// Whether the run has epochs, so that the sink is [saved](Sink::save).
    pub has_epochs: bool,
    /// What the sink of an earlier run had saved, if this run goes on from there.
    pub saved: Option<&'a [u8]>,
}

/// The second half of a sink whose output is shown to others only when the epoch that it belongs to is whole. Another
/// thread than the sink's calls it.
pub trait Committer: Send + Sync {
    /// Shows everything that was [saved](Sink::save) up to this epoch. An epoch may be committed again by a later run,
    /// which changes nothing then.
    ///
    /// # Errors
    /// The output cannot be shown; the pipeline fails.
    fn commit(&self, epoch: u64) -> Result<(), ConnectorError>;

    /// Whether something waits for an epoch, so that one is due although no records flow.
    fn waits(&self) -> bool;
}

/// The outcome of the run, as far as a sink needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkOutcome {
    /// All input has arrived: make the output complete.
    Complete,
    /// The pipeline failed or was interrupted: the output is not complete.
    Partial,
}

/// The error of a connector.
#[derive(Debug, Error)]
#[error("{what}")]
pub struct ConnectorError {
    /// Description of the error, with the place and the value, in one line.
    pub what: String,
    /// Advice on how to correct it.
    pub hint: Option<String>,
    /// The underlying cause.
    #[source]
    pub cause: Option<io::Error>,
    /// The record that a sink refuses, if the error is about one record.
    pub record: Option<Origin>,
    /// The part of the input that a source skips, if it can continue.
    pub unreadable: Option<Box<Unreadable>>,
}

/// A part of the input that a source could not read and skips. Its next records come after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Size of the part.
    pub extent: Extent,
    /// Place of the part, as [`Places::describe`] would describe it.
    pub place: String,
    /// Bytes of the part, or the first of them if it is long.
    pub bytes: Vec<u8>,
}

/// The size of an unreadable part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The text of one record.
    Record,
    /// A file, or the rest of it, with an unknown number of records.
    File,
}

impl Unreadable {
    /// An unreadable part that would have been one record.
    #[must_use]
    pub fn record(place: impl Into<String>, bytes: &[u8]) -> Self {
        Self { extent: Extent::Record, place: place.into(), bytes: bytes.to_vec() }
    }

    /// The unreadable rest of a file.
    #[must_use]
    pub fn rest_of(place: impl Into<String>) -> Self {
        Self { extent: Extent::File, place: place.into(), bytes: Vec::new() }
    }
}

impl ConnectorError {
    /// Makes an error without a hint and a cause.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, cause: None, record: None, unreadable: None }
    }

    /// Makes an error with a cause from the operating system or a decompressor.
    #[must_use]
    pub fn caused(what: impl Into<String>, cause: io::Error) -> Self {
        Self { what: what.into(), hint: None, cause: Some(cause), record: None, unreadable: None }
    }

    /// The description and the cause in one line, for outputs without a chain of causes.
    #[must_use]
    pub fn in_full(&self) -> String {
        self.cause.as_ref().map_or_else(|| self.what.clone(), |cause| format!("{}: {cause}", self.what))
    }

    /// Adds the unreadable part after which the source continues.
    #[must_use]
    pub fn leaving_behind(self, unreadable: Unreadable) -> Self {
        Self { unreadable: Some(Box::new(unreadable)), ..self }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the record that the error is about.
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
