use std::fs::{File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use thiserror::Error;

/// Why a file is not taken.
#[derive(Debug, Error)]
pub enum PlainFileError {
    /// The system does not give it.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is something else than a regular file, whose bytes may never end or never come.
    #[error("it is {0}, not a regular file")]
    NotAFile(&'static str),
    /// It is larger than what it should be can be.
    #[error("it has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// What it weighs; for a file that grew while it was read, what was read of it.
        size: u64,
        /// The limit.
        limit: u64,
    },
}

/// Reads a regular file of at most `most` bytes, whole. Whatever else lies under the path is refused by its type, and a larger file by its size,
/// before a byte is read. A file that says it has no bytes is empty and is not read either: those of the kernel's that say so may wait for what they tell.
///
/// # Errors
/// [`PlainFileError`]; a retry helps only where the file changes.
pub fn read_plain_file(path: &Path, most: u64) -> Result<Vec<u8>, PlainFileError> {
    // Asked before it is opened: opening a device may do anything.
    require_regular(&std::fs::metadata(path)?)?;
    // The path may lead to something else by now.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    require_regular(&metadata)?;
    let size = metadata.len();
    if size > most {
        return Err(PlainFileError::TooLarge { size, limit: most });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    if size == 0 {
        return Ok(bytes);
    }
    // One more than may be, for a file that grows meanwhile.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(PlainFileError::TooLarge { size: bytes.len() as u64, limit: most });
    }
    Ok(bytes)
}

fn require_regular(metadata: &Metadata) -> Result<(), PlainFileError> {
    if metadata.is_file() { Ok(()) } else { Err(PlainFileError::NotAFile(kind_of_file(metadata.file_type()))) }
}

/// What something under a path is, in a word with its article.
#[must_use]
pub fn kind_of_file(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_symlink() => "a link",
        _ => "a file",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        assert_eq!(read_plain_file(&path, 3).unwrap(), b"abc");
        let error = read_plain_file(&path, 2).unwrap_err();
        assert_eq!(error.to_string(), "it has 3 bytes, at most 2 are allowed");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_by_its_type() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, target) in [("to-pipe", "pipe"), ("to-zero", "/dev/zero"), ("loop", "loop"), ("nowhere", "none")] {
            symlink(target, at(name)).unwrap();
        }
        for (path, said) in [
            (folder.path().to_owned(), "it is a folder, not a regular file"),
            (at("pipe"), "it is a pipe, not a regular file"),
            (at("to-pipe"), "it is a pipe, not a regular file"),
            (at("socket"), "it is a socket, not a regular file"),
            ("/dev/zero".into(), "it is a device, not a regular file"),
            (at("to-zero"), "it is a device, not a regular file"),
            (at("nowhere"), "No such file or directory (os error 2)"),
            (at("loop"), "Too many levels of symbolic links (os error 40)"),
            (at("pipe/below"), "Not a directory (os error 20)"),
        ] {
            assert_eq!(read_plain_file(&path, 10).unwrap_err().to_string(), said, "{}", path.display());
        }
    }

    #[test]
    fn a_file_of_many_gigabytes_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        // All hole: it takes no room on the disk.
        File::create(&path).unwrap().set_len(10 << 30).unwrap();
        let error = read_plain_file(&path, 16 << 20).unwrap_err();
        assert!(matches!(error, PlainFileError::TooLarge { size, .. } if size == 10 << 30), "{error}");
    }

    #[test]
    fn a_file_that_says_it_has_no_bytes_is_empty_and_not_read() {
        let path = Path::new("/proc/self/environ");
        assert_eq!(fs::metadata(path).unwrap().len(), 0);
        assert_eq!(read_plain_file(path, 7).unwrap(), b"");
    }
}
