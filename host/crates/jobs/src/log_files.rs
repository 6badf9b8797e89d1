use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, statat, unlinkat};

use crate::plain_file::open_folder;

/// A file of a job's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFile {
    /// Its number. The newest one has the highest.
    pub number: u64,
    /// Its size.
    pub bytes: u64,
    /// Its last change, in seconds since the Unix epoch.
    pub changed: i64,
}

impl LogFile {
    /// The files of the log in a folder, the oldest first. A log that was never begun has none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(folder: &Path) -> io::Result<Vec<Self>> {
        let numbers = match numbers(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            numbers => numbers?,
        };
        let opened = open_folder(folder)?;
        let mut files = Vec::new();
        for number in numbers {
            let found = statat(&opened, name(number), AtFlags::SYMLINK_NOFOLLOW);
            let Ok(found) = found else { continue };
            let bytes = u64::try_from(found.st_size).unwrap_or(0);
            files.push(Self { number, bytes, changed: found.st_mtime });
        }
        Ok(files)
    }

    /// Removes the file. A reader of the log is told which lines are missing.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, folder: &Path) -> io::Result<()> {
        Ok(unlinkat(open_folder(folder)?, name(self.number), AtFlags::empty())?)
    }
}

fn name(number: u64) -> String {
    format!("{number:04}.jsonl")
}

/// The file of a log with this number.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(name(number))
}

/// The numbers of the files of a log, in rising order.
pub(crate) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(open_folder(folder)?)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl")).and_then(|name| name.parse().ok());
        // A name that this program would not give is not a file of the log.
        numbers.extend(number.filter(|number| path(folder, *number).file_name() == Some(name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
