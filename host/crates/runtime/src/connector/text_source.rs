use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counted::Counted;
use super::csv_row_text::CsvRowText;
use super::find_files::{find_files, short_names};
use super::input::Input;
use super::line_reader::LinePosition;
use super::open_text::OpenText;
use super::places::PlaceKeeper;
use super::room::{Room, Stopped};
use super::saved_files::SavedFiles;
use super::{ConnectorError, Filled, Places, ReadFields, Source, SourceProgress, Unreadable};
use sage_batch::{Batch, RowText};
use sage_plan::{FileSourceSpec, TextSpec};

/// Records from text: from files, one after the other, or from standard input.
pub(super) struct TextSource {
    number: u16,
    spec: TextSpec,
    longest: usize,
    waiting: VecDeque<NamedInput>,
    /// The files that are read, in order; none for standard input.
    paths: Vec<PathBuf>,
    current: Option<OpenText>,
    next_record: u64,
    places: PlaceKeeper,
    /// Bytes of finished files, before decompression.
    done: u64,
    total: Option<u64>,
    bounded: bool,
    /// Number of notes about files that were logged.
    notes_told: usize,
    /// The fields of the last records, if they are read here.
    fields: Option<ReadFields>,
    /// The way from a row to its text, if fields are read. Files with one header share it.
    row_text: Option<Arc<CsvRowText>>,
}

/// A place in the files of a source.
#[derive(Debug, Serialize, Deserialize)]
struct TextPosition {
    /// Number of the file, from 0.
    file: usize,
    at: LinePosition,
}

/// A file that waits for its turn, or standard input.
struct NamedInput {
    path: Option<PathBuf>,
    /// Name of the input in places.
    name: String,
    /// Number of bytes when the run began, if known.
    size: Option<u64>,
}

impl TextSource {
    /// Largest number of logged notes about files. A few of many similar notes are enough.
    const MOST_NOTES: usize = 4;

    /// Opens the files that `spec` names. Every file is opened, and the header of each CSV file is read, before
    /// this returns. An unreadable file is an error, or, if the source tolerates such files, is reported when
    /// its turn comes.
    pub(super) fn files(spec: &FileSourceSpec, number: u16, longest: usize) -> Result<Self, ConnectorError> {
        let paths = find_files(&spec.path)?;
        let mut source = Self::new(&spec.text, number, longest);
        source.paths.clone_from(&paths);
        let mut total = Some(0);
        for (name, path) in short_names(&paths).into_iter().zip(paths) {
            // Opening a pipe twice would cut off its writer.
            let is_pipe = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
            let mut input = NamedInput { path: Some(path), name, size: None };
            if !is_pipe {
                match source.check(&input) {
                    Ok(size) => input.size = size,
                    Err(_) if spec.text.tolerant => input.size = Some(0),
                    Err(error) => return Err(error),
                }
            }
            total = total.zip(input.size).map(|(sum, size): (u64, u64)| sum.saturating_add(size));
            source.waiting.push_back(input);
        }
        source.total = total;
        source.bounded = total.is_some();
        Ok(source)
    }

    /// Standard input.
    pub(super) fn stdin(spec: &TextSpec, number: u16, longest: usize) -> Result<Self, ConnectorError> {
        let mut source = Self::new(spec, number, longest);
        let open = source.open(&NamedInput { path: None, name: "stdin".to_owned(), size: None })?;
        source.total = open.size();
        source.bounded = source.total.is_some();
        source.places.begin_file("stdin".to_owned(), 0);
        source.current = Some(open);
        Ok(source)
    }

    fn new(spec: &TextSpec, number: u16, longest: usize) -> Self {
        Self {
            number,
            spec: spec.clone(),
            longest,
            waiting: VecDeque::new(),
            paths: Vec::new(),
            current: None,
            next_record: 0,
            places: PlaceKeeper::new(),
            done: 0,
            total: None,
            bounded: false,
            notes_told: 0,
            fields: spec.reads.as_deref().map(ReadFields::of),
            row_text: None,
        }
    }

    /// Checks a file as far as possible without reading all of it. Returns its size.
    fn check(&self, named: &NamedInput) -> Result<Option<u64>, ConnectorError> {
        let mut open = self.open(named)?;
        open.check()?;
        Ok(open.size())
    }

    fn open(&self, named: &NamedInput) -> Result<OpenText, ConnectorError> {
        let (input, path) = match &named.path {
            Some(path) => (Input::open(path, self.spec.compression)?, path.display().to_string()),
            None => (Input::stdin(self.spec.compression)?, named.name.clone()),
        };
        Ok(OpenText::new(input, path, named.name.clone(), &self.spec, self.longest))
    }

    /// Opens the file whose turn it is. The file must not have become shorter.
    fn reopen(&self, named: &NamedInput) -> Result<OpenText, ConnectorError> {
        let left = || Unreadable::rest_of(&named.name);
        let open = self.open(named).map_err(|error| error.leaving_behind(left()))?;
        match (named.size, open.size()) {
            (Some(before), Some(now)) if now < before => {
                let path = named.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
                let what = format!("{path}: it had {before} bytes when the run began, and has {now} now");
                Err(ConnectorError::new(what).hint("was it cut or replaced?").leaving_behind(left()))
            }
            _ => Ok(open),
        }
    }

    /// Logs the notes for the user about the current file.
    fn tell_notes(&mut self) {
        let Some(current) = &mut self.current else { return };
        for note in current.take_notes() {
            match self.notes_told.cmp(&Self::MOST_NOTES) {
                Ordering::Less => tracing::warn!("{note}"),
                Ordering::Equal => tracing::warn!("{note}; further notes of this kind are not logged"),
                Ordering::Greater => continue,
            }
            self.notes_told += 1;
        }
    }

    fn fill_from_inputs(
        &mut self,
        batch: &mut Batch,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Filled, ConnectorError> {
        loop {
            if self.current.is_none() {
                let Some(named) = self.waiting.pop_front() else { return Ok(Filled::End) };
                let open = self.reopen(&named)?;
                self.places.begin_file(named.name, self.next_record);
                self.current = Some(open);
            }
            let Some(current) = &mut self.current else { return Ok(Filled::End) };
            let mut room = Room {
                batch,
                source: self.number,
                next_record: &mut self.next_record,
                places: &mut self.places,
                fields: self.fields.as_mut(),
                max_records,
                max_bytes,
            };
            let stopped = current.fill(&mut room);
            self.keep_row_text();
            self.tell_notes();
            match stopped? {
                Stopped::Full => return Ok(Filled::More),
                Stopped::Pending => return Ok(Filled::Idle(Duration::ZERO)),
                Stopped::End => {
                    self.done += self.current.take().map_or(0, |done| done.consumed());
                    if self.fields.is_some() && !batch.is_empty() {
                        // The rows of the next file may have another header.
                        return Ok(Filled::More);
                    }
                }
            }
        }
    }

    /// Keeps the way from the rows of the current file to their text, if fields are read.
    fn keep_row_text(&mut self) {
        let Some(current) = self.current.as_ref().filter(|_| self.fields.is_some()) else { return };
        let Some(found) = current.csv.row_text() else { return };
        if !self.row_text.as_ref().is_some_and(|known| known.is(&found)) {
            self.row_text = Some(Arc::new(found));
        }
    }
}

impl Source for TextSource {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        if let Some(fields) = &mut self.fields {
            fields.clear();
        }
        let filled = self.fill_from_inputs(batch, max_records, max_bytes);
        if let Some(rows) = self.row_text.as_ref().filter(|_| !batch.is_empty()) {
            batch.set_rows(Arc::clone(rows) as Arc<dyn RowText>);
        }
        filled
    }

    fn take_fields(&mut self, fields: &mut ReadFields) -> bool {
        let Some(own) = &mut self.fields else { return false };
        std::mem::swap(own, fields);
        own.table.reset(fields.table.schema());
        true
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, ConnectorError> {
        if self.paths.is_empty() {
            return Ok(None);
        }
        Ok(SavedFiles::of(&self.paths)?.map(|files| files.to_bytes()))
    }

    fn require_same(&self, saved: &[u8]) -> Result<(), ConnectorError> {
        SavedFiles::require_same(saved, &self.paths)
    }

    fn position(&self) -> Option<String> {
        if self.paths.is_empty() {
            return None;
        }
        let begun = self.paths.len() - self.waiting.len();
        let (file, at) = match &self.current {
            Some(current) if !current.has_given_up() => (begun - 1, current.position()?),
            _ => (begun, LinePosition::default()),
        };
        serde_json::to_string(&TextPosition { file, at }).ok()
    }

    fn seek(&mut self, position: &str, records: u64) -> Result<(), ConnectorError> {
        let bad = || ConnectorError::new("the saved position cannot be read").hint("start anew: --from none");
        let TextPosition { file, at } = serde_json::from_str(position).map_err(|_| bad())?;
        let passed = self.waiting.drain(..file.min(self.waiting.len()));
        self.done += passed.filter_map(|named| named.size).sum::<u64>();
        self.next_record = records;
        if at == LinePosition::default() {
            return Ok(());
        }
        let Some(named) = self.waiting.pop_front() else { return Err(bad()) };
        let mut open = self.reopen(&named)?;
        let path = named.path.as_deref().unwrap_or(Path::new(""));
        open.find_columns()?;
        let cannot = |cause| ConnectorError::caused(format!("cannot go on in {}", open.path), cause);
        let mut file = File::open(path).map_err(cannot)?;
        file.seek(SeekFrom::Start(at.bytes)).map_err(cannot)?;
        let counted = Counted::new(file, at.bytes).map_err(cannot)?;
        open.go_on(counted, at);
        self.done += at.bytes;
        self.places.begin_file(named.name, records);
        self.current = Some(open);
        Ok(())
    }

    fn awaited(&self) -> Option<Arc<File>> {
        self.current.as_ref()?.awaited().cloned()
    }

    fn progress(&self) -> SourceProgress {
        let done = self.done + self.current.as_ref().map_or(0, OpenText::consumed);
        // A file that could not be read before the run began counted as 0 bytes.
        let total = self.total.map(|total| total.max(done));
        SourceProgress { done, total, bytes: true, bounded: self.bounded }
    }

    fn places(&self) -> Option<Arc<dyn Places>> {
        Some(Arc::clone(self.places.places()) as Arc<dyn Places>)
    }
}

#[cfg(test)]
#[path = "text_source_tests.rs"]
mod tests;
