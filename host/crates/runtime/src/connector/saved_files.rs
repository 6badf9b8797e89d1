use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::ConnectorError;
use sage_text::plain_path;

/// The files of a source at an epoch, in the order in which it reads them. A later run that goes on from there must
/// find them again: each at least as long as it was, with the same beginning, and the same bytes before its old end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedFiles(Vec<SavedFile>);

#[derive(Debug, Serialize, Deserialize)]
struct SavedFile {
    /// The bytes of the path.
    path: Vec<u8>,
    bytes: u64,
    /// XXH3 of the first [`SAMPLE`] bytes.
    head: u64,
    /// XXH3 of the last [`SAMPLE`] bytes.
    tail: u64,
}

const NEW: &str = "is new among the files of the source since the last epoch";
/// Bytes that are compared at either end of a file.
const SAMPLE: u64 = 4096;

impl SavedFiles {
    /// The files at these paths as they are now. `None` if one is no regular file, so that it cannot be read again.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Option<Self>, ConnectorError> {
        let mut files = Vec::new();
        for path in paths {
            let (file, bytes) = match open(path) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(None),
                // A source may tolerate a file that it cannot open. Then a later run must not find one there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(cannot_read(path, error)),
            };
            let sampled = sample(&file, bytes).map_err(|error| cannot_read(path, error))?;
            let path = path.as_os_str().as_bytes().to_vec();
            files.push(SavedFile { path, bytes, head: sampled.0, tail: sampled.1 });
        }
        Ok(Some(Self(files)))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Compares the files at `paths` with the saved ones.
    ///
    /// # Errors
    /// A file that is missing, new, shorter or different, with its name.
    pub(super) fn require_same(saved: &[u8], paths: &[PathBuf]) -> Result<(), ConnectorError> {
        let Ok(Self(saved)) = serde_json::from_slice(saved) else {
            return Err(ConnectorError::new("the saved list of files cannot be read"));
        };
        let changed = |path: &Path, how: String| {
            Err(ConnectorError::new(format!("{} {how}", plain_path(path)))
                .hint("restore the files as they were, or start anew: --from none"))
        };
        let mut now = paths.iter();
        for SavedFile { path, bytes, head, tail } in saved {
            let path = PathBuf::from(std::ffi::OsString::from_vec(path));
            let Some(found) = now.next() else { return changed(&path, "is no longer there".to_owned()) };
            if *found != path {
                return match paths.contains(&path) {
                    true => changed(found, NEW.to_owned()),
                    false => changed(&path, "is no longer there".to_owned()),
                };
            }
            let Some((file, size)) = open(&path).map_err(|error| cannot_read(&path, error))? else {
                return changed(&path, "is no regular file any more".to_owned());
            };
            if size < bytes {
                return changed(&path, format!("has {size} bytes, and had {bytes} at the last epoch"));
            }
            if sample(&file, bytes).map_err(|error| cannot_read(&path, error))? != (head, tail) {
                return changed(&path, "has another content than at the last epoch".to_owned());
            }
        }
        match now.next() {
            Some(new) => changed(new, NEW.to_owned()),
            None => Ok(()),
        }
    }
}

fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    // Opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Some((file, bytes)))
}

/// The sums of both ends of the first `bytes` bytes.
fn sample(file: &File, bytes: u64) -> io::Result<(u64, u64)> {
    let mut buffer = vec![0; usize::try_from(bytes.min(SAMPLE)).unwrap_or(0)];
    file.read_exact_at(&mut buffer, 0)?;
    let head = xxh3_64(&buffer);
    file.read_exact_at(&mut buffer, bytes.saturating_sub(SAMPLE))?;
    Ok((head, xxh3_64(&buffer)))
}

fn cannot_read(path: &Path, error: io::Error) -> ConnectorError {
    ConnectorError::caused(format!("cannot read {}", plain_path(path)), error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_may_grow_and_every_other_change_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let long = vec![b'x'; 10_000];
        let write = |name: &str, bytes: &[u8]| fs::write(at(name), bytes).unwrap();
        let reset = || {
            write("a", b"one\n");
            write("b", &long);
        };
        reset();
        let paths = [at("a"), at("b")];
        let saved = SavedFiles::of(&paths).unwrap().unwrap().to_bytes();
        let compare = |paths: &[PathBuf]| match SavedFiles::require_same(&saved, paths) {
            Ok(()) => String::new(),
            Err(error) => error.in_full().replace(&format!("{}/", folder.path().display()), ""),
        };
        assert_eq!(compare(&paths), "");
        write("a", b"one\ntwo\n");
        assert_eq!(compare(&paths), "", "it may grow");
        write("a", b"onE\n");
        assert_eq!(compare(&paths), "a has another content than at the last epoch");
        write("a", b"o");
        assert_eq!(compare(&paths), "a has 1 bytes, and had 4 at the last epoch");
        reset();
        write("b", &[&long[..9_999], b"y"].concat());
        assert_eq!(compare(&paths), "b has another content than at the last epoch");
        reset();
        assert_eq!(compare(&paths[..1]), "b is no longer there");
        assert_eq!(compare(&paths[1..]), "a is no longer there");
        let more = [at("a"), at("aa"), at("b")];
        assert_eq!(compare(&more), "aa is new among the files of the source since the last epoch");
        let last = [at("a"), at("b"), at("c")];
        assert_eq!(compare(&last), "c is new among the files of the source since the last epoch");
    }

    #[test]
    fn a_pipe_cannot_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        assert!(SavedFiles::of(&[path]).unwrap().is_none());
    }
}
