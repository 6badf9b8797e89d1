use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use xxhash_rust::xxh3::xxh3_64;

use super::output_place::Replaced;
use super::partial_file::{PartialFile, require_lock};
use super::partial_path::partial_path;
use super::{ConnectorError, PathGuard};
use sage_text::plain_path;

/// What a run has appended to a file to which other programs append too: `PATH.partial`, so that a later run cuts back
/// what is this run's and nothing else.
///
/// The journal has the newest stretch of the file that is this run's without a gap, and the bytes that are being
/// written behind it. It is written before and after each write, and not synced: the kernel keeps it when the process
/// is killed. After a loss of power it may be old, and then less is known to be this run's.
#[derive(Debug)]
pub(super) struct AppendJournal {
    place: PartialFile,
    file: File,
    own: OwnStretch,
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnStretch {
    from: u64,
    to: u64,
    /// Bytes that are being written.
    under_way: u64,
}

/// A journal as an earlier run left it.
#[derive(Debug)]
pub(super) struct LeftJournal {
    own: OwnStretch,
    under_way: Vec<u8>,
}

const MAGIC: [u8; 8] = *b"sage-ap\n";
/// Bytes before those that are being written.
const HEAD: usize = 40;

impl AppendJournal {
    /// Makes the journal of a file of this length, for this run alone.
    ///
    /// # Errors
    /// Another run has it, or it cannot be made.
    pub(super) fn create(place: &Replaced, guard: &Arc<PathGuard>, length: u64) -> Result<Self, ConnectorError> {
        let (partial, file) = PartialFile::create(place, Arc::clone(guard))?;
        let journal = Self { place: partial, file, own: OwnStretch { from: length, to: length, under_way: 0 } };
        journal.write_head().map_err(|cause| journal.cannot(cause))?;
        Ok(journal)
    }

    /// Notes bytes that will be written next.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, HEAD as u64)?;
        self.own.under_way = bytes.len() as u64;
        self.write_head()
    }

    /// Notes the stretch where they have been written.
    pub(super) fn end(&mut self, from: u64, to: u64) -> io::Result<()> {
        if from != self.own.to {
            self.own.from = from;
        }
        self.own = OwnStretch { to, under_way: 0, ..self.own };
        self.write_head()
    }

    /// Removes the journal.
    pub(super) fn remove(self) {
        self.place.remove();
    }

    fn write_head(&self) -> io::Result<()> {
        self.file.write_all_at(&self.own.head(), 0)
    }

    fn cannot(&self, cause: io::Error) -> ConnectorError {
        ConnectorError::caused(format!("cannot write to \"{}\"", self.place.shown()), cause)
    }
}

impl OwnStretch {
    fn head(self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        for number in [self.from, self.to, self.under_way] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        let sum = xxh3_64(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        head
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let own = Self { from: number(8)?, to: number(16)?, under_way: number(24)? };
        (own.head() == head).then_some(own)
    }
}

impl LeftJournal {
    /// The journal that an earlier run left for the output `path`. `None` if there is none that can be read.
    ///
    /// # Errors
    /// Another run has it.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, ConnectorError> {
        let partial = partial_path(path);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let Ok(mut file) = File::options().read(true).custom_flags(flags).open(&partial) else { return Ok(None) };
        require_lock(&file, &plain_path(&partial))?;
        let mut bytes = Vec::new();
        // Never more than a chunk of records: a larger file is no journal.
        if file.by_ref().take(MOST).read_to_end(&mut bytes).is_err() {
            return Ok(None);
        }
        let Some(own) = bytes.get(..HEAD).and_then(OwnStretch::of_head) else { return Ok(None) };
        let under_way = usize::try_from(own.under_way).ok().and_then(|long| bytes.get(HEAD..HEAD + long));
        Ok(Some(Self { own, under_way: under_way.unwrap_or_default().to_vec() }))
    }

    /// What the run has appended to `file` behind its first `saved` bytes.
    pub(super) fn own_end(&self, file: &File, saved: u64) -> io::Result<OwnEnd> {
        let length = file.metadata()?.len();
        let OwnStretch { from, to, .. } = self.own;
        if self.under_way.is_empty() && to <= saved {
            // Whatever follows is of other programs.
            return Ok(OwnEnd::Nothing);
        }
        if from > saved || length > to.max(saved) + self.under_way.len() as u64 {
            return Ok(OwnEnd::Mixed);
        }
        let mut behind = vec![0; usize::try_from(length.saturating_sub(to)).unwrap_or(0)];
        file.read_exact_at(&mut behind, to)?;
        Ok(if self.under_way.starts_with(&behind) { OwnEnd::All } else { OwnEnd::Mixed })
    }
}

/// The bytes of a file behind an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnEnd {
    /// The run has written none of them.
    Nothing,
    /// The run has written all of them.
    All,
    /// Other programs have written some of them, or perhaps have.
    Mixed,
}

/// Largest journal: a record, and the chunk that is written at once.
const MOST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::super::output_place::OutputPlace;
    use super::*;

    #[test]
    fn only_what_is_known_to_be_the_runs_own_counts_as_that() {
        /// Bytes in the file, from, to, under way, saved, expected.
        type Case<'a> = (&'a [u8], u64, u64, &'a [u8], u64, OwnEnd);
        let cases: [Case<'_>; 12] = [
            (b"old\n", 4, 4, b"", 4, OwnEnd::Nothing),
            (b"old\nforeign\n", 4, 4, b"", 4, OwnEnd::Nothing),
            (b"old\na\n", 4, 6, b"", 4, OwnEnd::All),
            (b"old\na\nb\n", 4, 8, b"", 6, OwnEnd::All),
            (b"old\na\nforeign\n", 4, 6, b"", 4, OwnEnd::Mixed),
            (b"old\nforeign\na\n", 12, 14, b"", 4, OwnEnd::Mixed),
            (b"old\nforeign\na\n", 12, 14, b"", 12, OwnEnd::All),
            (b"old\na\nb", 4, 6, b"b\nc\n", 4, OwnEnd::All),
            (b"old\na\nb\nc\n", 4, 6, b"b\nc\n", 4, OwnEnd::All),
            (b"old\na\nx", 4, 6, b"b\nc\n", 4, OwnEnd::Mixed),
            (b"old\na\nb\nc\nx\n", 4, 6, b"b\nc\n", 4, OwnEnd::Mixed),
            (b"old\n", 4, 4, b"b\n", 4, OwnEnd::All),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for (number, (bytes, from, to, under_way, saved, expected)) in cases.into_iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let OutputPlace::Replaced(place) = OutputPlace::examine(&path).unwrap() else { panic!("a regular file") };
            let mut journal = AppendJournal::create(&place, &Arc::default(), from).unwrap();
            journal.end(from, to).unwrap();
            if !under_way.is_empty() {
                journal.begin(under_way).unwrap();
            }
            drop(journal);
            let left = LeftJournal::read(&path).unwrap().unwrap();
            let file = File::open(&path).unwrap();
            assert_eq!(left.own_end(&file, saved).unwrap(), expected, "case {number}");
        }
    }

    #[test]
    fn what_is_no_journal_is_not_read_as_one_and_one_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        assert!(LeftJournal::read(&path).unwrap().is_none());
        for bytes in [&b""[..], b"sage-ap\n", &[7; 100]] {
            File::create(folder.path().join("out.partial")).unwrap().write_all(bytes).unwrap();
            assert!(LeftJournal::read(&path).unwrap().is_none());
        }
        let OutputPlace::Replaced(place) = OutputPlace::examine(&path).unwrap() else { panic!("a regular file") };
        let _held = AppendJournal::create(&place, &Arc::default(), 0).unwrap();
        assert!(LeftJournal::read(&path).unwrap_err().what.starts_with("another run is writing"));
    }
}
