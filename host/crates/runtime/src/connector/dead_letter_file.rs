use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::identity::FileId;
use super::saved_output::SavedOutput;
use super::{ConnectorError, DeadLetter, PathGuard};
use sage_text::{plain_path, short_size};

/// The file to which a stage's dead letters are appended, one line of JSON each. All lanes of all instances
/// share it.
///
/// Letters of earlier runs stay; the field `run` tells them apart. Each call writes its letters with one system
/// call, so a crash of this host loses no letter that was handed over. [`DeadLetterFile::finish`] makes them
/// survive a power cut. A writer waits while another one writes.
///
/// A letter that would make the file longer than its stage's bound is not written, and its record stops the
/// pipeline. The record is neither lost nor counted as kept. Bytes that earlier runs and other programs wrote
/// count too; for a pipe or a device, only the bytes of this run count.
#[derive(Debug)]
pub struct DeadLetterFile {
    path: PathBuf,
    id: FileId,
    output: Mutex<Output>,
}

#[derive(Debug)]
struct Output {
    file: File,
    lines: Vec<u8>,
    /// Bytes that this run has written.
    written: u64,
    /// Whether a write failed in the middle of a line.
    torn: bool,
}

impl DeadLetterFile {
    /// Opens the file for a run whose files `guard` keeps, and creates it if it does not exist.
    ///
    /// # Errors
    /// The file cannot be written, its folder does not exist, or the run reads the same file.
    pub fn open(path: &Path, guard: &PathGuard) -> Result<Self, ConnectorError> {
        let cannot = |cause: io::Error| {
            let error = ConnectorError::caused(format!("cannot write dead letters to \"{}\"", path.display()), cause);
            match error.cause.as_ref().map(io::Error::kind) {
                Some(io::ErrorKind::NotFound) => error.hint("does its folder exist?"),
                _ => error,
            }
        };
        let mut file = File::options().read(true).append(true).create(true).open(path).map_err(cannot)?;
        let id = FileId::of_open(&file).map_err(cannot)?;
        guard.require_not_read(id, &plain_path(path))?;
        end_last_line(&mut file).map_err(cannot)?;
        let output = Output { file, lines: Vec::new(), written: 0, torn: false };
        Ok(Self { path: path.to_owned(), id, output: Mutex::new(output) })
    }

    /// Whether both are the same file, perhaps under two names.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Appends letters, unless the file would then have more than `max_bytes`.
    ///
    /// # Errors
    /// The letters cannot be written, or do not fit. The pipeline must stop then: a lost dead letter is a lost
    /// record.
    pub fn write<'a>(
        &self,
        letters: impl IntoIterator<Item = DeadLetter<'a>>,
        max_bytes: u64,
    ) -> Result<(), ConnectorError> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Output { file, lines, written, torn } = &mut *output;
        lines.clear();
        if *torn {
            lines.push(b'\n');
        }
        for letter in letters {
            letter.write_line(lines);
        }
        let there = length(file).map_err(|cause| self.cannot_write(cause))?.unwrap_or(*written);
        let after = there.saturating_add(lines.len() as u64);
        if after > max_bytes {
            return Err(self.is_full(after, max_bytes));
        }
        let wrote = file.write_all(lines);
        *torn = wrote.is_err();
        wrote.map_err(|cause| self.cannot_write(cause))?;
        *written = written.saturating_add(lines.len() as u64);
        // One huge letter must not keep its buffer in memory for the rest of the run.
        lines.shrink_to(KEEP_BYTES);
        Ok(())
    }

    /// Makes all letters durable. Returns what [`DeadLetterFile::cut_back`] needs to remove the letters after them;
    /// nothing for a pipe or a device.
    ///
    /// # Errors
    /// As [`DeadLetterFile::finish`].
    pub fn save(&self) -> Result<Vec<u8>, ConnectorError> {
        self.finish()?;
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = length(&output.file).map_err(|cause| self.cannot_write(cause))?;
        Ok(bytes.map_or_else(Vec::new, |bytes| SavedOutput { id: self.id, bytes, records: 0 }.to_bytes()))
    }

    /// Removes the letters of an earlier run that came after it had [saved](DeadLetterFile::save) the file, because
    /// this run goes on from there and makes them again. If others have written there too, all letters stay, and the
    /// result is `false`: those of that run come twice.
    ///
    /// # Errors
    /// The file cannot be read or cut.
    pub fn cut_back(&self, saved: &[u8], run: &str) -> Result<bool, ConnectorError> {
        let Some(saved) = SavedOutput::from_bytes(saved)? else { return Ok(true) };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = cut_letters(&mut output.file, (saved, self.id), run);
        cut.map_err(|cause| ConnectorError::caused(format!("cannot go on with \"{}\"", plain_path(&self.path)), cause))
    }

    /// Makes all letters durable. More may be written afterwards.
    ///
    /// # Errors
    /// The file system cannot make them durable.
    pub fn finish(&self) -> Result<(), ConnectorError> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match output.file.sync_all() {
            // A device or a pipe has nothing to make durable.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced.map_err(|cause| self.cannot_write(cause)),
        }
    }

    fn is_full(&self, after: u64, max_bytes: u64) -> ConnectorError {
        let (path, after, most) = (self.path.display(), short_size(after), short_size(max_bytes));
        let what = format!("the dead letters in \"{path}\" would come to {after}, more than max_bytes ({most})");
        ConnectorError::new(what).hint("move the file away, or set a larger max_bytes beside dead_letter")
    }

    fn cannot_write(&self, cause: io::Error) -> ConnectorError {
        ConnectorError::caused(format!("cannot write dead letters to \"{}\"", self.path.display()), cause)
    }
}

/// Largest buffer, in bytes, that is kept for later letters.
const KEEP_BYTES: usize = 1 << 20;

/// Length of a file in bytes; `None` for a pipe or a device.
fn length(file: &File) -> io::Result<Option<u64>> {
    let found = file.metadata()?;
    Ok(found.is_file().then_some(found.len()))
}

/// Cuts off the letters behind the saved bytes if all of them are of `run`.
fn cut_letters(file: &mut File, (saved, id): (SavedOutput, FileId), run: &str) -> io::Result<bool> {
    #[derive(Deserialize)]
    struct Letter<'a> {
        #[serde(borrow)]
        run: Cow<'a, str>,
    }
    if saved.id != id || file.metadata()?.len() < saved.bytes {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(saved.bytes))?;
    let mut lines = BufReader::new(&*file).split(b'\n');
    // A crash may have cut the last letter short, and opening has ended its line.
    let mut torn = false;
    let of_run = lines.try_fold(true, |all, line| {
        let line = line?;
        let before = std::mem::replace(&mut torn, serde_json::from_slice::<Letter>(&line).is_err());
        let is_own = torn || serde_json::from_slice::<Letter>(&line).is_ok_and(|letter| letter.run == run);
        Ok::<_, io::Error>(all && !before && is_own)
    })?;
    if of_run {
        file.set_len(saved.bytes)?;
        file.sync_data()?;
    }
    Ok(of_run)
}

/// Ends a line that a crash or a full disk cut short, so that the next line stays readable.
fn end_last_line(file: &mut File) -> io::Result<()> {
    if !file.metadata()?.is_file() || file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;
    use std::time::UNIX_EPOCH;

    use serde_json::Value;

    use super::*;

    fn letter(run: &str, offset: u64) -> DeadLetter<'_> {
        DeadLetter {
            pipeline: "p",
            run,
            operator: "o",
            instance: 0,
            source: Some("s"),
            source_instance: Some(0),
            offset: Some(offset),
            place: None,
            key: None,
            timestamp: None,
            headers: None,
            payload: b"\xff",
            code: "trap",
            message: "unreachable",
            attempts: 1,
            window: None,
            at: UNIX_EPOCH,
        }
    }

    fn lines(path: &Path) -> Vec<Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn letters_after_an_epoch_are_removed_unless_others_wrote_there_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let line = |run: &str| format!("{{\"run\":\"{run}\"}}\n");
        let first = line("a");
        for (after, cut) in [
            (String::new(), true),
            (line("a") + &line("a"), true),
            (line("a") + "{\"run\":\"a", true),
            (line("a") + &line("b"), false),
            (line("b"), false),
            ("torn\n".to_owned() + &line("a"), false),
        ] {
            fs::write(&path, &first).unwrap();
            let saved = DeadLetterFile::open(&path, &PathGuard::default()).unwrap().save().unwrap();
            fs::write(&path, first.clone() + &after).unwrap();
            let file = DeadLetterFile::open(&path, &PathGuard::default()).unwrap();
            assert_eq!(file.cut_back(&saved, "a").unwrap(), cut, "{after}");
            assert_eq!(fs::read_to_string(&path).unwrap() == first, cut, "{after}");
        }
    }

    #[test]
    fn letters_of_all_lanes_and_of_earlier_runs_are_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        for run in ["one", "two"] {
            let file = DeadLetterFile::open(&path, &PathGuard::default()).unwrap();
            thread::scope(|scope| {
                for lane in 0..4 {
                    let file = &file;
                    scope.spawn(move || {
                        for n in 0..50 {
                            file.write(
                                [letter(run, lane * 100 + 2 * n), letter(run, lane * 100 + 2 * n + 1)],
                                u64::MAX,
                            )
                            .unwrap();
                        }
                    });
                }
            });
            file.finish().unwrap();
        }
        let found = lines(&path);
        for run in ["one", "two"] {
            let mut offsets: Vec<_> =
                found.iter().filter(|l| l["run"] == run).map(|l| l["offset"].as_u64().unwrap()).collect();
            offsets.sort_unstable();
            assert_eq!(offsets, (0..400).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_line_cut_short_by_a_crash_spoils_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        fs::write(&path, "{\"pipeline\":\"p\",\"ru").unwrap();
        DeadLetterFile::open(&path, &PathGuard::default()).unwrap().write([letter("r", 1)], u64::MAX).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(serde_json::from_str::<Value>(lines[1]).unwrap()["offset"], 1);
    }

    #[test]
    fn a_file_that_is_full_takes_no_letter_and_says_what_to_do_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let one = {
            let file = DeadLetterFile::open(&path, &PathGuard::default()).unwrap();
            file.write([letter("one", 1)], 1000).unwrap();
            fs::metadata(&path).unwrap().len()
        };
        // Letters of earlier runs count.
        let file = DeadLetterFile::open(&path, &PathGuard::default()).unwrap();
        file.write([letter("two", 2)], 2 * one).unwrap();
        let error = file.write([letter("two", 3)], 2 * one).unwrap_err();
        assert!(error.what.contains("more than max_bytes"), "{error}");
        assert!(error.hint.is_some());
        assert_eq!(lines(&path).len(), 2, "nothing of it was written");
        file.write([letter("two", 3)], 3 * one).unwrap();
    }

    #[test]
    fn what_is_written_to_a_device_counts_too() {
        let file = DeadLetterFile::open(Path::new("/dev/null"), &PathGuard::default()).unwrap();
        let written = (0..100).map(|n| file.write([letter("r", n)], 2000)).take_while(Result::is_ok).count();
        assert!((5..20).contains(&written), "{written}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_a_hint() {
        let error = DeadLetterFile::open(Path::new("/nonexistent/dead.jsonl"), &PathGuard::default()).unwrap_err();
        assert_eq!(error.what, "cannot write dead letters to \"/nonexistent/dead.jsonl\"");
        assert_eq!(error.hint.as_deref(), Some("does its folder exist?"));
    }
}
