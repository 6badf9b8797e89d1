use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::csv_row_text::CsvRowText;
use super::find_files::Search;
use super::followed_file::{FollowedFile, Look, Reading};
use super::followed_position::FollowedPosition;
use super::identity::FileId;
use super::places::PlaceKeeper;
use super::room::{Room, Stopped};
use super::{ConnectorError, Filled, Places, ReadFields, Source, SourceProgress, Unreadable};
use sage_batch::{Batch, RowText};
use sage_plan::{FileSourceSpec, TextSpec};
use sage_text::plain_path;

/// Records from text files to which more is appended, and from files that come later.
///
/// A file is known by its device, its inode and its first bytes, not by its name: it is read on after it was renamed,
/// and read from its beginning after it was cut or its inode was given to another text. A line without a line end is
/// waited for.
///
/// Files are looked at from time to time, which works on every file system. A look asks for the length of each file;
/// every second the names are looked up too.
pub(super) struct FollowSource {
    number: u16,
    path: PathBuf,
    spec: TextSpec,
    longest: usize,
    files: Vec<FollowedFile>,
    /// Files that cannot be followed, so that they are reported once.
    passed_over: BTreeSet<FileId>,
    /// Errors of files that cannot be opened.
    unreadable: VecDeque<ConnectorError>,
    /// The file whose turn it is.
    turn: usize,
    next_record: u64,
    places: PlaceKeeper,
    /// The file of the last records, for places.
    placed: Option<FileId>,
    /// Bytes of files that are done.
    done: u64,
    /// The time between two looks, which grows while nothing comes.
    pause: Duration,
    names_looked_up: Option<Instant>,
    waits_for_files: bool,
    fields: Option<ReadFields>,
    row_text: Option<Arc<CsvRowText>>,
}

/// The shortest and the longest time between two looks at the files.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
/// The time between two looks at the names.
const NAMES: Duration = Duration::from_secs(1);

impl FollowSource {
    /// Opens the files that are there. There may be none yet.
    ///
    /// # Errors
    /// A folder or a file cannot be read.
    pub(super) fn open(spec: &FileSourceSpec, number: u16, longest: usize) -> Result<Self, ConnectorError> {
        let mut source = Self {
            number,
            path: spec.path.clone(),
            spec: spec.text.clone(),
            longest,
            files: Vec::new(),
            passed_over: BTreeSet::new(),
            unreadable: VecDeque::new(),
            turn: 0,
            next_record: 0,
            places: PlaceKeeper::of_newest(),
            placed: None,
            done: 0,
            pause: PAUSES.0,
            names_looked_up: None,
            waits_for_files: false,
            fields: spec.text.reads.as_deref().map(ReadFields::of),
            row_text: None,
        };
        source.look_up_names()?;
        match source.unreadable.pop_front().filter(|_| !spec.text.tolerant) {
            Some(error) => Err(error),
            None => Ok(source),
        }
    }

    /// The files that have a name of the source now.
    fn named(&mut self) -> Result<Vec<(PathBuf, FileId)>, ConnectorError> {
        match Search::of(&self.path) {
            Ok(search) => {
                self.waits_for_files &= search.files.is_empty();
                if search.files.is_empty() && !mem::replace(&mut self.waits_for_files, true) {
                    tracing::info!("no file matches {}: the source waits for one", plain_path(&self.path));
                }
                Ok(search.files)
            }
            // A single path that does not exist.
            Err(error) if error.cause.is_none() => {
                if !mem::replace(&mut self.waits_for_files, true) {
                    tracing::info!("{}: the source waits for it", error.what);
                }
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Looks up the names: opens new files, notes new names, and finds the files that have none any more.
    fn look_up_names(&mut self) -> Result<(), ConnectorError> {
        self.names_looked_up = Some(Instant::now());
        let named = self.named()?;
        let reading = Reading { spec: &self.spec, longest: self.longest };
        for file in &mut self.files {
            let Some((path, _)) = named.iter().find(|(_, id)| *id == file.id) else {
                file.has_no_name();
                continue;
            };
            if *path != file.path {
                tracing::info!("{} is called {} now", plain_path(&file.path), plain_path(path));
            }
            file.is_called(path, short_name(path), reading)?;
        }
        for (path, id) in named {
            if self.files.iter().any(|file| file.id == id) || self.passed_over.contains(&id) {
                continue;
            }
            match self.open_file(&path) {
                Ok(Some(file)) => self.files.push(file),
                Ok(None) => {
                    tracing::info!("{} is packed, and is not followed", plain_path(&path));
                    self.passed_over.insert(id);
                }
                // It was removed or renamed just now.
                Err(error)
                    if error.cause.as_ref().is_some_and(|cause| cause.kind() == std::io::ErrorKind::NotFound) => {}
                Err(error) => {
                    self.passed_over.insert(id);
                    self.unreadable.push_back(error.leaving_behind(Unreadable::rest_of(short_name(&path))));
                }
            }
        }
        Ok(())
    }

    fn open_file(&self, path: &Path) -> Result<Option<FollowedFile>, ConnectorError> {
        FollowedFile::open(path, short_name(path), Reading { spec: &self.spec, longest: self.longest })
    }

    /// Looks at the files.
    fn look(&mut self) -> Result<(), ConnectorError> {
        let reading = Reading { spec: &self.spec, longest: self.longest };
        for file in &mut self.files {
            match file.look(reading) {
                Ok(Look::Same) => {}
                Ok(Look::Anew(what)) => tracing::warn!("{what}: it is read from its beginning"),
                Err(cause) => {
                    let what = format!("cannot look at \"{}\"", plain_path(&file.path));
                    return Err(ConnectorError::caused(what, cause));
                }
            }
        }
        let done = self.files.iter().filter(|file| file.is_done());
        self.done += done.map(|file| file.text.consumed()).sum::<u64>();
        self.files.retain(|file| !file.is_done());
        if self.names_looked_up.is_none_or(|at| at.elapsed() >= NAMES) { self.look_up_names() } else { Ok(()) }
    }

    /// Fills the batch from one file that has something.
    fn fill_from_one(&mut self, batch: &mut Batch, most: (usize, usize)) -> Result<Option<Stopped>, ConnectorError> {
        for _ in 0..self.files.len() {
            self.turn = if self.turn < self.files.len() { self.turn } else { 0 };
            let Some(file) = self.files.get_mut(self.turn) else { return Ok(None) };
            if !file.has_more || file.ended {
                self.turn += 1;
                continue;
            }
            file.text.require_plain()?;
            if self.placed != Some(file.id) {
                self.places.begin_file(file.name.clone(), self.next_record);
                self.placed = Some(file.id);
            }
            let mut room = Room {
                batch,
                source: self.number,
                next_record: &mut self.next_record,
                places: &mut self.places,
                fields: self.fields.as_mut(),
                max_records: most.0,
                max_bytes: most.1,
            };
            let stopped = file.text.fill(&mut room);
            for note in file.text.take_notes() {
                tracing::warn!("{note}");
            }
            if self.fields.is_some()
                && let Some(found) = file.text.csv.row_text()
                && !self.row_text.as_ref().is_some_and(|known| known.is(&found))
            {
                self.row_text = Some(Arc::new(found));
            }
            match stopped? {
                Stopped::Full => return Ok(Some(Stopped::Full)),
                Stopped::Pending => file.has_more = false,
                Stopped::End => file.ended = true,
            }
            self.turn += 1;
            if !batch.is_empty() {
                return Ok(Some(Stopped::Pending));
            }
        }
        Ok(None)
    }
}

fn short_name(path: &Path) -> String {
    path.file_name().map_or_else(|| plain_path(path), |name| plain_path(Path::new(name)))
}

impl Source for FollowSource {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        if let Some(fields) = &mut self.fields {
            fields.clear();
        }
        if let Some(error) = self.unreadable.pop_front() {
            return Err(error);
        }
        let filled = self.fill_from_one(batch, (max_records, max_bytes));
        if let Some(rows) = self.row_text.as_ref().filter(|_| !batch.is_empty()) {
            batch.set_rows(Arc::clone(rows) as Arc<dyn RowText>);
        }
        if filled?.is_some() {
            self.pause = PAUSES.0;
            return Ok(Filled::More);
        }
        self.look()?;
        if !self.unreadable.is_empty() || self.files.iter().any(|file| file.has_more && !file.ended) {
            return Ok(Filled::More);
        }
        let pause = self.pause;
        self.pause = (2 * pause).min(PAUSES.1);
        Ok(Filled::Idle(pause))
    }

    fn take_fields(&mut self, fields: &mut ReadFields) -> bool {
        let Some(own) = &mut self.fields else { return false };
        mem::swap(own, fields);
        own.table.reset(fields.table.schema());
        true
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, ConnectorError> {
        Ok(Some(followed(&self.path).into_bytes()))
    }

    fn require_same(&self, saved: &[u8]) -> Result<(), ConnectorError> {
        let now = followed(&self.path);
        if now.as_bytes() == saved {
            return Ok(());
        }
        let what = match std::str::from_utf8(saved) {
            Ok(before) if before.starts_with(FOLLOWS) => format!("it {now} now, and {before} before"),
            _ => format!("it {now} now, and read its files to their ends before"),
        };
        Err(ConnectorError::new(what).hint("follow the same path, or start anew: --from none"))
    }

    fn position(&self) -> Option<String> {
        let files: Option<Vec<FollowedPosition>> = self.files.iter().map(FollowedFile::position).collect();
        serde_json::to_string(&files?).ok()
    }

    fn seek(&mut self, position: &str, records: u64) -> Result<(), ConnectorError> {
        let saved: Vec<FollowedPosition> = serde_json::from_str(position)
            .map_err(|_| ConnectorError::new("the saved position cannot be read").hint("start anew: --from none"))?;
        self.next_record = records;
        let cannot =
            |path: &Path, cause| ConnectorError::caused(format!("cannot go on in \"{}\"", plain_path(path)), cause);
        for place in saved {
            let mut found = None;
            for (number, file) in self.files.iter().enumerate() {
                if file.is(&place).map_err(|cause| cannot(&file.path, cause))? {
                    found = Some(number);
                    break;
                }
            }
            // Rotated out of the pattern while no run was there to see it.
            if found.is_none()
                && let Some((path, _)) = place.renamed()
                && let Some(mut file) = self.open_file(&path)?
            {
                tracing::info!("{} is called {} now", plain_path(&place.path()), plain_path(&path));
                file.has_no_name();
                found = Some(self.files.len());
                self.files.push(file);
            }
            match found.and_then(|number| self.files.get_mut(number)) {
                Some(file) => file.go_to(&place)?,
                None => self.tell_lost(&place),
            }
        }
        Ok(())
    }

    fn progress(&self) -> SourceProgress {
        let open = self.files.iter().map(|file| file.text.consumed()).sum::<u64>();
        SourceProgress { done: self.done + open, total: None, bytes: true, bounded: false }
    }

    fn places(&self) -> Option<Arc<dyn Places>> {
        Some(Arc::clone(self.places.places()) as Arc<dyn Places>)
    }
}

impl FollowSource {
    /// Says what is known of a file that an earlier run had read, and that is not there any more.
    fn tell_lost(&self, place: &FollowedPosition) {
        let (path, read) = (plain_path(&place.path()), place.at.bytes);
        let same_name = self.files.iter().find(|file| file.path == place.path());
        match same_name.and_then(|file| std::fs::metadata(&file.path).ok()) {
            Some(now) => tracing::warn!(
                "{path} is not the file of which {read} bytes had been read, and has {} bytes: it is read from its \
                 beginning, and what the other file got behind those bytes is not read",
                now.len()
            ),
            None => tracing::warn!(
                "{path}, of which {read} bytes had been read, is no longer there: what was appended behind them is not \
                 read"
            ),
        }
    }
}

/// What the identity of a source that follows begins with.
const FOLLOWS: &str = "follows ";

fn followed(path: &Path) -> String {
    format!("{FOLLOWS}{}", plain_path(path))
}

#[cfg(test)]
#[path = "follow_source_tests.rs"]
mod tests;
