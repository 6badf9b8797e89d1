use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::identity::FileId;
use super::{ConnectorError, DeadLetter, PathGuard};
use crate::observe::plain_path;

/// The file that a stage's dead letters are appended to, one line of JSON each. Shared by all lanes of all instances.
///
/// Letters of earlier runs stay (`run` tells them apart). Each call writes its letters with one system call, so a crash
/// of this host loses none that were handed over; [`DeadLetterFile::finish`] makes them survive a power cut.
/// A writer waits while another writes.
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
    /// A write failed in the middle of a line.
    torn: bool,
}

impl DeadLetterFile {
    /// Opens the file for a run whose files `guard` keeps, making it if it is not there.
    ///
    /// # Errors
    /// When it cannot be written, or its folder does not exist, or it is a file that the run reads.
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
        Ok(Self { path: path.to_owned(), id, output: Mutex::new(Output { file, lines: Vec::new(), torn: false }) })
    }

    /// Whether both are one file, under two names perhaps.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Appends letters.
    ///
    /// # Errors
    /// When they cannot be written. The pipeline must stop then: a dead letter that is lost is a record that is lost.
    pub fn write<'a>(&self, letters: impl IntoIterator<Item = DeadLetter<'a>>) -> Result<(), ConnectorError> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Output { file, lines, torn } = &mut *output;
        lines.clear();
        if *torn {
            lines.push(b'\n');
        }
        for letter in letters {
            letter.write_line(lines);
        }
        let written = file.write_all(lines);
        *torn = written.is_err();
        written.map_err(|cause| self.cannot_write(cause))
    }

    /// Makes all letters durable. More may be written afterwards.
    ///
    /// # Errors
    /// When the file system cannot do it.
    pub fn finish(&self) -> Result<(), ConnectorError> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match output.file.sync_all() {
            // A device or a pipe has nothing to be made durable.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced.map_err(|cause| self.cannot_write(cause)),
        }
    }

    fn cannot_write(&self, cause: io::Error) -> ConnectorError {
        ConnectorError::caused(format!("cannot write dead letters to \"{}\"", self.path.display()), cause)
    }
}

/// Ends a line that a crash or a full disk cut short, so that it spoils itself alone.
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
            at: UNIX_EPOCH,
        }
    }

    fn lines(path: &Path) -> Vec<Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
                            file.write([letter(run, lane * 100 + 2 * n), letter(run, lane * 100 + 2 * n + 1)]).unwrap();
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
        DeadLetterFile::open(&path, &PathGuard::default()).unwrap().write([letter("r", 1)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(serde_json::from_str::<Value>(lines[1]).unwrap()["offset"], 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_a_hint() {
        let error = DeadLetterFile::open(Path::new("/nonexistent/dead.jsonl"), &PathGuard::default()).unwrap_err();
        assert_eq!(error.what, "cannot write dead letters to \"/nonexistent/dead.jsonl\"");
        assert_eq!(error.hint.as_deref(), Some("does its folder exist?"));
    }
}
