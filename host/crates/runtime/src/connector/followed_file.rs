use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ConnectorError;
use super::counted::Counted;
use super::fingerprint::Fingerprint;
use super::followed_position::FollowedPosition;
use super::identity::FileId;
use super::input::Input;
use super::line_reader::LinePosition;
use super::magic::packing;
use super::open_text::OpenText;
use sage_plan::TextSpec;
use sage_text::plain_path;

/// A file that is followed: what is appended to it is read as it comes.
///
/// ```text
///              no longer under a name of the source, and quiet       rest read
/// followed ───────────────────────────────────────────────▶ over ───────────▶ ended
///     ▲ cut, or other content: from its beginning
/// ```
pub(super) struct FollowedFile {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    /// Name in places.
    pub(super) name: String,
    file: Arc<File>,
    pub(super) text: OpenText,
    print: Fingerprint,
    /// Length at the last look.
    length: u64,
    /// Whether the last read left something.
    pub(super) has_more: bool,
    /// No more will be appended: the reader passes the rest on, also a line without a line end.
    is_over: Arc<AtomicBool>,
    /// Since when the file has had no name of the source, and nothing was appended.
    quiet: Option<Instant>,
    pub(super) ended: bool,
    /// Whether an earlier run could not read the rest of it.
    was_given_up: bool,
}

/// What a look at a file found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The file is as it was, or longer.
    Same,
    /// The file is another one, or its text is: it is read from its beginning.
    Anew(String),
}

/// How texts are read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) spec: &'a TextSpec,
    pub(super) longest: usize,
}

/// Time for which a file is followed after it was renamed or removed, and after the last line that came then. A
/// program that writes to it notices a rotation after a moment.
const LINGER: Duration = Duration::from_secs(5);

impl FollowedFile {
    /// Opens a file, to read it from its beginning. `None` if it is packed: nothing is appended to such a file.
    pub(super) fn open(path: &Path, name: String, reading: Reading<'_>) -> Result<Option<Self>, ConnectorError> {
        let cannot = |cause| ConnectorError::caused(format!("cannot open \"{}\"", plain_path(path)), cause);
        let file = File::open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if !metadata.is_file() {
            let what = format!("\"{}\" is no regular file, which a source can follow", plain_path(path));
            return Err(ConnectorError::new(what).hint("leave follow out: a pipe is read as its bytes come"));
        }
        let mut head = vec![0; 4.min(usize::try_from(metadata.len()).unwrap_or(4))];
        let read = file.read_at(&mut head, 0).map_err(cannot)?;
        head.truncate(read);
        if packing(&head, true).flatten().is_some() {
            return Ok(None);
        }
        let (id, file, is_over) = (FileId::of(&metadata), Arc::new(file), Arc::default());
        let text = text(&file, path, &name, reading, &is_over);
        let path = path.to_owned();
        let print = match Fingerprint::of(&file, metadata.len()) {
            // It was cut just now: the first look sees to it.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Fingerprint::default(),
            print => print.map_err(cannot)?,
        };
        let (length, has_more, quiet, ended, was_given_up) = (0, true, None, false, false);
        Ok(Some(Self { id, path, name, file, text, print, length, has_more, is_over, quiet, ended, was_given_up }))
    }

    /// Goes to the place of an earlier run. The file must be that of the place.
    pub(super) fn go_to(&mut self, saved: &FollowedPosition) -> Result<(), ConnectorError> {
        self.print = saved.print;
        (self.ended, self.was_given_up) = (saved.given_up, saved.given_up);
        if saved.at == LinePosition::default() {
            return Ok(());
        }
        self.text.find_columns()?;
        let at = saved.at.bytes;
        // Finding the columns has moved the file.
        let cannot = |cause| ConnectorError::caused(format!("cannot go on in \"{}\"", plain_path(&self.path)), cause);
        (&*self.file).seek(SeekFrom::Start(at)).map_err(cannot)?;
        self.text.go_on(Counted::following(Arc::clone(&self.file), at, Arc::clone(&self.is_over)), saved.at);
        self.length = at;
        Ok(())
    }

    /// Looks at the file: has something been appended, was it cut, is it another text?
    pub(super) fn look(&mut self, reading: Reading<'_>) -> io::Result<Look> {
        let metadata = self.file.metadata()?;
        let (before, now) = (self.length, metadata.len());
        if now == before && self.print.bytes > 0 {
            return Ok(Look::Same);
        }
        let read = self.text.consumed();
        let reason = if now < read {
            Some(format!("has {now} bytes, of which {read} had been read"))
        } else if !self.print.fits(&self.file)? {
            Some("has another content at its beginning than before".to_owned())
        } else {
            None
        };
        if let Some(reason) = reason {
            self.start_anew(reading)?;
            return Ok(Look::Anew(format!("{} {reason}", plain_path(&self.path))));
        }
        if self.print.may_grow() {
            self.print = Fingerprint::of(&self.file, now)?;
        }
        self.length = now;
        if now > read {
            (self.has_more, self.ended) = (true, self.ended && self.has_given_up());
            self.quiet = self.quiet.map(|_| Instant::now());
        }
        Ok(Look::Same)
    }

    fn start_anew(&mut self, reading: Reading<'_>) -> io::Result<()> {
        (&*self.file).seek(SeekFrom::Start(0))?;
        self.is_over = Arc::default();
        self.text = text(&self.file, &self.path, &self.name, reading, &self.is_over);
        self.length = self.file.metadata()?.len();
        self.print = Fingerprint::of(&self.file, self.length)?;
        (self.has_more, self.ended, self.was_given_up) = (true, false, false);
        Ok(())
    }

    /// The file has this name.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub(super) fn is_called(&mut self, path: &Path, name: String, reading: Reading<'_>) -> Result<(), ConnectorError> {
        (self.path, self.name, self.quiet) = (path.to_owned(), name, None);
        if !self.is_over.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        // It was taken for over. What came of it stays as it is.
        let Some(place) = self.position() else { return Ok(()) };
        self.text = text(&self.file, &self.path, &self.name, reading, &self.is_over);
        self.go_to(&place)?;
        self.has_more = true;
        Ok(())
    }

    /// Whether this is the file of a saved place, and has all bytes that were read of it.
    pub(super) fn is(&self, place: &FollowedPosition) -> io::Result<bool> {
        place.is(&self.file, &self.path, self.id)
    }

    /// The file has no name of the source any more. After a while without new lines it is over.
    pub(super) fn has_no_name(&mut self) {
        let since = *self.quiet.get_or_insert_with(Instant::now);
        if !self.has_more && since.elapsed() >= LINGER {
            self.is_over.store(true, Ordering::Relaxed);
            self.has_more = true;
        }
    }

    fn has_given_up(&self) -> bool {
        self.was_given_up || self.text.has_given_up()
    }

    /// Whether the file was read to its end and has no name any more, so that nothing of it is left.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.quiet.is_some()
    }

    /// The place behind the records given so far. `None` if the bytes are not those of the file.
    pub(super) fn position(&self) -> Option<FollowedPosition> {
        let at = self.text.position()?;
        Some(FollowedPosition::new(self.id, self.print, &self.path, at, self.has_given_up()))
    }
}

fn text(file: &Arc<File>, path: &Path, name: &str, reading: Reading<'_>, is_over: &Arc<AtomicBool>) -> OpenText {
    let input = Input::following(Counted::following(Arc::clone(file), 0, Arc::clone(is_over)));
    let mut text = OpenText::new(input, path.display().to_string(), name.to_owned(), reading.spec, reading.longest);
    text.follows();
    text
}

#[cfg(test)]
impl FollowedFile {
    /// As if nothing had come for long, if the file has no name.
    pub(super) fn is_quiet_for_long(&mut self) {
        self.quiet = self.quiet.and_then(|since| since.checked_sub(LINGER));
    }
}
