use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::CgroupError;

/// The contents of a group's file, without the line end.
pub(super) fn read(file: &Path) -> Result<String, CgroupError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(cause) => Err(CgroupError::Read { path: file.to_owned(), cause }),
    }
}

/// Writes a value and reads it back.
///
/// # Errors
/// If the file does not exist (it is never created), the kernel refuses the value, or `accepts` rejects the
/// value that was read back.
pub(super) fn set(file: &Path, value: &str, accepts: impl Fn(&str) -> bool) -> Result<(), CgroupError> {
    write(file, value)?;
    let found = read(file)?;
    if accepts(&found) {
        Ok(())
    } else {
        Err(CgroupError::ReadBack { path: file.to_owned(), wanted: value.to_owned(), found })
    }
}

/// Writes a value that the kernel stores unchanged, and reads it back.
pub(super) fn set_exactly(file: &Path, value: &str) -> Result<(), CgroupError> {
    set(file, value, |found| found == value)
}

/// Writes a command, which the kernel executes and does not store.
pub(super) fn write(file: &Path, value: &str) -> Result<(), CgroupError> {
    // One write(2), because the kernel takes each write as a separate value.
    let written = OpenOptions::new().write(true).open(file).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|cause| CgroupError::Write { path: file.to_owned(), value: value.to_owned(), cause })
}

/// The number in a file; `None` if the file does not exist or contains no number.
pub(super) fn number(file: &Path) -> Option<u64> {
    read(file).ok()?.parse().ok()
}

/// The number after a word in a file of `word number` lines.
pub(super) fn entry(file: &Path, word: &str) -> Option<u64> {
    value_of(&fs::read_to_string(file).ok()?, word)
}

/// The number after a word in a text of `word number` lines.
pub(super) fn value_of(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_value_that_reads_back_otherwise_is_an_error_though_the_write_went_well() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.max");
        symlink("/dev/null", &file).unwrap();
        let error = set_exactly(&file, "1048576").unwrap_err();
        assert!(
            matches!(&error, CgroupError::ReadBack { wanted, found, .. } if wanted == "1048576" && found.is_empty())
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.max");
        assert!(matches!(set_exactly(&file, "1"), Err(CgroupError::Write { .. })));
        assert!(!file.exists());
    }

    #[test]
    fn words_are_found_whole() {
        let text = "oom 3\noom_kill 2\noom_group_kill 1\n";
        for (word, value) in [("oom", Some(3)), ("oom_kill", Some(2)), ("oom_", None), ("max", None)] {
            assert_eq!(value_of(text, word), value, "{word}");
        }
    }
}
