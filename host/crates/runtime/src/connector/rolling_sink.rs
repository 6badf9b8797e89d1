use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file_output::FileOutput;
use super::identity::FileId;
use super::layout::Layout;
use super::part_folder::{PartFolder, Reopened};
use super::part_names::PartNames;
use super::record_writer::RecordWriter;
use super::saved_parts::{SavedPart, SavedParts};
use super::{Committer, ConnectorError, PathGuard, Sink, SinkOutcome, SinkStart};
use sage_batch::Batch;
use sage_plan::{FileSinkSpec, RollSpec};
use sage_store::fault_point;

/// A file sink whose output is in parts.
///
/// ```text
///            first record       size, every or idle        epoch whole
/// (empty) ──────────────▶ open ─────────────────────▶ closed ─────────▶ published
/// NAME.partial                 NAME.partial, durable                    NAME, never changed again
/// ```
///
/// Without epochs a part is published when it is closed. There is always a locked part that is not published, also
/// while there are no records: a second run with the same output is refused.
pub(super) struct RollingSink {
    spec: FileSinkSpec,
    roll: RollSpec,
    layout: Layout,
    folder: Arc<PartFolder>,
    /// `None` after the output was closed.
    part: Option<Part>,
    /// The number of the next part.
    next: u64,
    /// Records in closed parts.
    written: u64,
    /// `None` without epochs.
    commits: Option<Arc<Commits>>,
}

/// The part that is being written.
struct Part {
    number: u64,
    id: FileId,
    writer: RecordWriter<FileOutput>,
    /// Bytes of an earlier run in it.
    bytes: u64,
    /// The times of its first and last record. `None` without records.
    times: Option<(Instant, Instant)>,
    /// Whether its name may be lost in a power cut.
    is_new: bool,
}

/// The closed parts that wait for the end of an epoch.
struct Commits {
    folder: Arc<PartFolder>,
    parts: Mutex<WaitingParts>,
    /// Whether a part was closed since the last epoch.
    waits: AtomicBool,
}

#[derive(Default)]
struct WaitingParts {
    /// Closed since the last epoch.
    closed: Vec<SavedPart>,
    /// With the first epoch that has them.
    saved: Vec<(u64, SavedPart)>,
}

impl RollingSink {
    /// Makes the sink.
    ///
    /// # Errors
    /// The folder cannot be used, another run writes the output, or the saved parts are not there any more.
    pub(super) fn create(
        spec: &FileSinkSpec,
        (roll, layout): (RollSpec, Layout),
        guard: &Arc<PathGuard>,
        start: SinkStart<'_>,
    ) -> Result<Self, ConnectorError> {
        let Some(names) = PartNames::of(&spec.path) else {
            return Err(ConnectorError::new(format!("the path has no {} for the number of a part", RollSpec::PLACE)));
        };
        let folder = Arc::new(PartFolder::open(names, Arc::clone(guard))?);
        let saved = start.saved.map(SavedParts::from_bytes).transpose()?.unwrap_or_default();
        let commits = start.has_epochs.then(|| Arc::new(Commits::of(&folder)));
        let (spec, next, part) = (spec.clone(), 1, None);
        let mut sink = Self { spec, roll, layout, folder, part, next, written: 0, commits };
        sink.go_on(&saved)?;
        Ok(sink)
    }

    /// Takes over the parts of an earlier run: publishes what its epoch has closed, cuts back the open part, and
    /// removes what came after the epoch.
    fn go_on(&mut self, saved: &SavedParts) -> Result<(), ConnectorError> {
        for part in &saved.closed {
            if !self.folder.publish(*part)? {
                let shown = self.folder.shown(part.number);
                tracing::info!("{shown} was taken away by another program after it was published");
            }
        }
        if !saved.closed.is_empty() {
            self.folder.sync()?;
        }
        let mut later_from = saved.next;
        if let Some(open) = saved.open {
            match self.folder.reopen(open)? {
                Reopened::Open(file) => {
                    let writer = self.writer(open.number, file, open.bytes)?;
                    let now = Instant::now();
                    let times = Some((now, now));
                    self.part = Some(Part {
                        number: open.number,
                        id: open.id,
                        writer,
                        bytes: open.bytes,
                        times,
                        is_new: false,
                    });
                }
                Reopened::Published => later_from = open.number,
            }
        }
        let found = self.folder.found()?;
        let is_own = |number: &u64| self.part.as_ref().is_some_and(|part| part.number == *number);
        for number in found.unpublished.iter().filter(|number| !is_own(number)) {
            self.folder.remove(*number)?;
        }
        let later = found.published.range(later_from..).count();
        if saved.next > 0 && later > 0 {
            tracing::warn!(
                "{later} parts from {} on were published after the epoch, and stay: their records come again",
                self.folder.shown(later_from)
            );
        }
        let last = found.published.last().copied().max(self.part.as_ref().map(|part| part.number)).unwrap_or(0);
        self.next = saved.next.max(last + 1);
        if self.part.is_none() {
            self.part = Some(self.begin_part()?);
        }
        Ok(())
    }

    fn writer(&self, number: u64, file: std::fs::File, bytes: u64) -> Result<RecordWriter<FileOutput>, ConnectorError> {
        let shown = self.folder.shown(number);
        let output = FileOutput::new(file, self.spec.compression, &self.spec.path, bytes)
            .map_err(|cause| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause))?;
        // A header was written before the first epoch.
        let layout = if bytes > 0 { self.layout.clone().without_header() } else { self.layout.clone() };
        Ok(RecordWriter::new(output, layout, format!("\"{shown}\"")))
    }

    fn begin_part(&mut self) -> Result<Part, ConnectorError> {
        let number = self.next;
        let (id, file) = self.folder.create(number)?;
        self.next += 1;
        let writer = self.writer(number, file, 0)?;
        Ok(Part { number, id, writer, bytes: 0, times: None, is_new: true })
    }

    /// Closes the part if it has records. With `begins`, the next one is there before.
    fn close_part(&mut self, begins: bool) -> Result<(), ConnectorError> {
        let Some(part) = self.part.as_mut().filter(|part| !part.is_empty()) else { return Ok(()) };
        part.writer.flush()?;
        let next = if begins { Some(self.begin_part()?) } else { None };
        let Some(part) = std::mem::replace(&mut self.part, next) else { return Ok(()) };
        let (number, id, written) = (part.number, part.id, part.writer.written());
        let finish = |part: Part| {
            let file = part.writer.into_output().finish()?;
            file.sync_all()?;
            file.metadata().map(|metadata| metadata.len())
        };
        let shown = self.folder.shown(number);
        let bytes =
            finish(part).map_err(|cause| ConnectorError::caused(format!("cannot finish \"{shown}\""), cause))?;
        self.written += written;
        let closed = SavedPart { number, id, bytes };
        match &self.commits {
            Some(commits) => commits.add(closed),
            None => {
                publish(&self.folder, closed)?;
                self.folder.sync()?;
            }
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.due() == Some(Duration::ZERO)
    }
}

impl Part {
    /// Whether no record was written to it, by this or an earlier run.
    fn is_empty(&self) -> bool {
        self.times.is_none() && self.bytes == 0
    }

    fn size(&mut self) -> u64 {
        // Without a position the part is closed by time only.
        self.writer.output_mut().position().unwrap_or(0) + self.writer.buffered()
    }
}

fn publish(folder: &PartFolder, part: SavedPart) -> Result<(), ConnectorError> {
    if folder.publish(part)? {
        return Ok(());
    }
    let what = format!(
        "\"{}.partial\" was removed or replaced by another program: its records are lost",
        folder.shown(part.number)
    );
    Err(ConnectorError::new(what).hint("run it again, with nothing else writing or cleaning up in that folder"))
}

fn fault(point: &str) -> Result<(), ConnectorError> {
    fault_point(point).map_err(|cause| ConnectorError::caused("the parts cannot be published", cause))
}

impl Sink for RollingSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.is_due() {
            self.close_part(true)?;
        }
        if self.part.is_none() {
            self.part = Some(self.begin_part()?);
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        let now = Instant::now();
        part.times = Some((part.times.map_or(now, |(first, _)| first), now));
        part.writer.write(batch)?;
        if self.roll.size.is_some_and(|size| part.size() >= size) {
            self.close_part(true)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        if self.is_due() {
            return self.close_part(true);
        }
        // An empty part gets its header with its first record.
        match self.part.as_mut().filter(|part| !part.is_empty()) {
            Some(part) => part.writer.flush(),
            None => Ok(()),
        }
    }

    fn due(&self) -> Option<Duration> {
        let (first, last) = self.part.as_ref()?.times?;
        let every = self.roll.every.map(|every| first + every);
        let idle = self.roll.idle.map(|idle| last + idle);
        let at = every.into_iter().chain(idle).min()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    fn close(&mut self) -> Result<(), ConnectorError> {
        self.close_part(true)
    }

    fn save(&mut self, epoch: u64) -> Result<Vec<u8>, ConnectorError> {
        self.flush()?;
        let mut open = None;
        if let Some(part) = self.part.as_mut().filter(|part| !part.is_empty()) {
            let bytes = part.writer.output_mut().make_durable().map_err(|cause| {
                ConnectorError::caused(format!("cannot write to \"{}\"", self.folder.shown(part.number)), cause)
            })?;
            open = Some(SavedPart { number: part.number, id: part.id, bytes });
            if std::mem::take(&mut part.is_new) {
                self.folder.sync()?;
            }
        }
        let closed = self.commits.as_ref().map(|commits| commits.save(epoch)).unwrap_or_default();
        if !closed.is_empty() {
            self.folder.sync()?;
        }
        // The number of a part without records is free.
        let next = self.next - u64::from(open.is_none() && self.part.is_some());
        Ok(SavedParts { open, closed, next }.to_bytes())
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        self.commits.clone().map(|commits| commits as Arc<dyn Committer>)
    }

    fn written(&self) -> Option<u64> {
        Some(self.written + self.part.as_ref().map_or(0, |part| part.writer.written()))
    }

    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError> {
        let failed = self.part.as_ref().is_some_and(|part| part.writer.has_failed());
        if failed || outcome == SinkOutcome::Partial {
            let Some(mut part) = self.part.take() else { return Ok(()) };
            if part.is_empty() {
                self.folder.remove_own(part.number, part.id);
                return Ok(());
            }
            let flushed = if failed { Ok(()) } else { part.writer.flush() };
            self.written += part.writer.written();
            if part.writer.has_failed() {
                part.writer.into_output().cut_back();
            } else if let Err(error) = part.writer.into_output().finish() {
                tracing::debug!(%error, "a part that is not published has no end");
            }
            return flushed;
        }
        self.close_part(false)?;
        if let Some(commits) = &self.commits {
            commits.publish_all()?;
        }
        if let Some(part) = self.part.take() {
            self.folder.remove_own(part.number, part.id);
        }
        Ok(())
    }
}

impl Commits {
    fn of(folder: &Arc<PartFolder>) -> Self {
        Self { folder: Arc::clone(folder), parts: Mutex::default(), waits: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingParts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, part: SavedPart) {
        self.lock().closed.push(part);
        self.waits.store(true, Ordering::SeqCst);
    }

    /// Makes the closed parts those of an epoch. Returns all that this epoch has.
    fn save(&self, epoch: u64) -> Vec<SavedPart> {
        let mut parts = self.lock();
        let WaitingParts { closed, saved } = &mut *parts;
        saved.extend(closed.drain(..).map(|part| (epoch, part)));
        saved.iter().map(|(_, part)| *part).collect()
    }

    fn publish(&self, up_to: u64) -> Result<(), ConnectorError> {
        let mut parts = self.lock();
        let mut published = false;
        for (_, part) in parts.saved.iter().filter(|(epoch, _)| *epoch <= up_to) {
            publish(&self.folder, *part)?;
            published = true;
            fault("sink.commit_half")?;
        }
        parts.saved.retain(|(epoch, _)| *epoch > up_to);
        self.waits.store(!(parts.saved.is_empty() && parts.closed.is_empty()), Ordering::SeqCst);
        drop(parts);
        if published { self.folder.sync().and_then(|()| fault("sink.committed")) } else { Ok(()) }
    }

    fn publish_all(&self) -> Result<(), ConnectorError> {
        self.save(u64::MAX);
        self.publish(u64::MAX)
    }
}

impl Committer for Commits {
    fn commit(&self, epoch: u64) -> Result<(), ConnectorError> {
        self.publish(epoch)
    }

    fn waits(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
#[path = "rolling_sink_tests.rs"]
mod tests;
