use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use super::append_journal::{AppendJournal, LeftJournal, OwnEnd};
use super::identity::FileId;
use super::layout::Layout;
use super::line_output::LineOutput;
use super::output_place::OutputPlace;
use super::record_writer::RecordWriter;
use super::saved_output::SavedOutput;
use super::{ConnectorError, PathGuard, Sink, SinkOutcome, SinkStart};
use sage_batch::Batch;
use sage_plan::FileSinkSpec;
use sage_text::plain_path;

/// A file sink that writes behind what a file holds.
///
/// Each write has whole lines, so that lines of other programs that append to the file stay whole too. Records are in
/// the file as soon as they are flushed. A run that goes on from an epoch cuts off what the run before it wrote after
/// the epoch, unless other programs wrote behind that.
pub(super) struct AppendingSink {
    /// `None` after the sink is finished.
    writer: Option<RecordWriter<AppendedFile>>,
    written: u64,
    id: FileId,
    shown: String,
}

/// The open end of a file.
struct AppendedFile {
    file: File,
    /// With epochs.
    journal: Option<AppendJournal>,
    /// The end of the last write, and the bytes behind its last line end.
    end: u64,
    torn: u64,
}

impl AppendingSink {
    /// Opens the file, and makes it if it does not exist.
    ///
    /// # Errors
    /// The file cannot be written, is no regular file, or is not the one of the run to go on with.
    pub(super) fn create(
        spec: &FileSinkSpec,
        layout: Layout,
        guard: &Arc<PathGuard>,
        start: SinkStart<'_>,
    ) -> Result<Self, ConnectorError> {
        let shown = plain_path(&spec.path);
        let OutputPlace::Replaced(place) = OutputPlace::examine_to_append(&spec.path)? else {
            return Err(ConnectorError::new(format!(
                "\"{shown}\" is no regular file, so nothing can be appended to it"
            ))
            .hint("leave append out: a device or a pipe is written to directly"));
        };
        let cannot = |cause| ConnectorError::caused(format!("cannot append to \"{shown}\""), cause);
        let mut file = File::options().read(true).append(true).create(true).open(&place.path).map_err(cannot)?;
        let id = FileId::of_open(&file).map_err(cannot)?;
        guard.require_not_read(id, &shown)?;
        if let Some(saved) = start.saved.map_or(Ok(None), SavedOutput::from_bytes)? {
            cut_back(&file, &place.path, saved)?;
        }
        end_last_line(&mut file).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        let journal = start.has_epochs.then(|| AppendJournal::create(&place, guard, length)).transpose()?;
        let layout = if length > 0 { layout.without_header() } else { layout };
        let output = AppendedFile { file, journal, end: length, torn: 0 };
        let writer = Some(RecordWriter::new(output, layout, format!("\"{shown}\"")));
        Ok(Self { writer, written: 0, id, shown })
    }

    fn writer(&mut self) -> Result<&mut RecordWriter<AppendedFile>, ConnectorError> {
        self.writer.as_mut().ok_or_else(|| ConnectorError::new(format!("\"{}\" is finished", self.shown)))
    }
}

/// Cuts off what an earlier run appended after it had saved the file.
fn cut_back(file: &File, path: &Path, saved: SavedOutput) -> Result<(), ConnectorError> {
    let shown = plain_path(path);
    let cannot = |cause| ConnectorError::caused(format!("cannot go on with \"{shown}\""), cause);
    let length = file.metadata().map_err(cannot)?.len();
    if !saved.id.is(file) || length < saved.bytes {
        let now = if saved.id.is(file) { format!("it has {length} bytes") } else { "it is another file".to_owned() };
        let what = format!("\"{shown}\" had {} bytes at the last epoch, and {now} now", saved.bytes);
        return Err(ConnectorError::new(what).hint("restore the file as it was, or start anew: --from none"));
    }
    let journal = LeftJournal::read(path)?;
    if length == saved.bytes {
        return Ok(());
    }
    let own = match journal {
        Some(journal) => journal.own_end(file, saved.bytes).map_err(cannot)?,
        None => OwnEnd::Mixed,
    };
    match own {
        OwnEnd::Nothing => {}
        OwnEnd::All => {
            file.set_len(saved.bytes).map_err(cannot)?;
            file.sync_data().map_err(cannot)?;
        }
        OwnEnd::Mixed => tracing::warn!(
            "what {shown} has behind byte {} stays, because other programs have written there too: some records come \
             twice",
            saved.bytes
        ),
    }
    Ok(())
}

/// Ends a line without a line end, so that the first record does not become a part of it.
fn end_last_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

impl Sink for AppendingSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        self.writer()?.write(batch)
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        self.writer()?.flush()
    }

    fn save(&mut self, _epoch: u64) -> Result<Vec<u8>, ConnectorError> {
        let (id, shown) = (self.id, self.shown.clone());
        let writer = self.writer()?;
        writer.flush()?;
        let records = writer.written();
        let file = &writer.output_mut().file;
        let saved = file.sync_data().and_then(|()| file.metadata());
        let cannot = |cause| ConnectorError::caused(format!("cannot append to \"{shown}\""), cause);
        Ok(SavedOutput { id, bytes: saved.map_err(cannot)?.len(), records }.to_bytes())
    }

    fn written(&self) -> Option<u64> {
        Some(self.writer.as_ref().map_or(self.written, RecordWriter::written))
    }

    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        let flushed = if writer.has_failed() { Ok(()) } else { writer.flush() };
        self.written = writer.written();
        let failed = writer.has_failed();
        let output = writer.into_output();
        if failed {
            output.cut_torn_line();
            return flushed;
        }
        if outcome == SinkOutcome::Complete {
            output.file.sync_all().map_err(|cause| {
                // The file system does not say which of the accepted bytes it could not keep.
                self.written = 0;
                ConnectorError::caused(format!("cannot append to \"{}\"", self.shown), cause)
            })?;
            output.journal.into_iter().for_each(AppendJournal::remove);
        }
        Ok(())
    }
}

impl AppendedFile {
    /// After a failed write, cuts off the beginning of a line, unless another program wrote behind it.
    fn cut_torn_line(&self) {
        let is_last = self.file.metadata().is_ok_and(|metadata| metadata.len() == self.end);
        if self.torn > 0
            && is_last
            && let Err(error) = self.file.set_len(self.end - self.torn)
        {
            tracing::debug!(%error, "an output that failed keeps its torn line");
        }
    }
}

impl Write for AppendedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(journal) = &mut self.journal {
            journal.begin(bytes)?;
        }
        let taken = self.file.write(bytes)?;
        // Behind a write that appends, the position is the end of its bytes, wherever that was.
        self.end = self.file.stream_position()?;
        if let Some(journal) = &mut self.journal {
            journal.end(self.end.saturating_sub(taken as u64), self.end)?;
        }
        let written = bytes.get(..taken).unwrap_or_default();
        self.torn = match memchr::memrchr(b'\n', written) {
            Some(at) => (taken - at - 1) as u64,
            None => self.torn + taken as u64,
        };
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineOutput for AppendedFile {}

#[cfg(test)]
#[path = "appending_sink_tests.rs"]
mod tests;
