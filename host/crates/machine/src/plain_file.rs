use std::fs::{File, FileType, Metadata};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use thiserror::Error;

/// The reason why a file cannot be read.
#[derive(Debug, Error)]
pub enum PlainFileError {
    /// The system cannot open or read the file.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// The path is not a regular file. The bytes of such an entry may never end or never come.
    #[error("it is {0}, not a regular file")]
    NotAFile(&'static str),
    /// The file is larger than allowed.
    #[error("it has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Bytes of the file. For a file that grew during the read, the number of bytes that were read.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

/// Reads a whole regular file of at most `most` bytes. Other kinds of entries are refused by their type, and
/// a larger file by its size, before a byte is read. A file with a size of zero is treated as empty and is
/// not read: some files of the kernel have size zero, and reading them may block.
///
/// # Errors
/// [`PlainFileError`]. A retry helps only if the file changes.
pub fn read_plain_file(path: &Path, most: u64) -> Result<Vec<u8>, PlainFileError> {
    let Some((file, size)) = open(path, most)? else { return Ok(Vec::new()) };
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // One byte more than allowed, to notice a file that grows at the same time.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(PlainFileError::TooLarge { size: bytes.len() as u64, limit: most });
    }
    Ok(bytes)
}

/// Like [`read_plain_file`], but passes the bytes on in steps that stay in the processor's cache. If an error is
/// returned, some steps may have been passed on.
///
/// # Errors
/// As [`read_plain_file`].
pub fn read_plain_file_in_steps(path: &Path, most: u64, mut step: impl FnMut(&[u8])) -> Result<(), PlainFileError> {
    let Some((file, _)) = open(path, most)? else { return Ok(()) };
    let mut file = BufReader::with_capacity(STEP, file.take(most.saturating_add(1)));
    let mut size = 0;
    loop {
        let length = match file.fill_buf() {
            Ok([]) => return Ok(()),
            Ok(bytes) => {
                size += bytes.len() as u64;
                if size > most {
                    return Err(PlainFileError::TooLarge { size, limit: most });
                }
                step(bytes);
                bytes.len()
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error.into()),
        };
        file.consume(length);
    }
}

const STEP: usize = 64 << 10;

/// The file and its size; `None` for an empty file.
fn open(path: &Path, most: u64) -> Result<Option<(File, u64)>, PlainFileError> {
    // The check comes before the open, because opening a device can have any effect.
    require_regular(&std::fs::metadata(path)?)?;
    // The path may lead to another entry by now.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    require_regular(&metadata)?;
    match metadata.len() {
        0 => Ok(None),
        size if size > most => Err(PlainFileError::TooLarge { size, limit: most }),
        size => Ok(Some((file, size))),
    }
}

fn require_regular(metadata: &Metadata) -> Result<(), PlainFileError> {
    if metadata.is_file() { Ok(()) } else { Err(PlainFileError::NotAFile(kind_of_file(metadata.file_type()))) }
}

/// The kind of an entry, as a word with its article.
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
    fn a_regular_file_is_read_in_steps_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let whole: Vec<u8> = (0..3 * STEP + 5).map(|n| (n % 251) as u8).collect();
        fs::write(&path, &whole).unwrap();
        let (mut bytes, mut steps) = (Vec::new(), 0);
        let size = whole.len() as u64;
        read_plain_file_in_steps(&path, size, |step| {
            bytes.extend_from_slice(step);
            steps += 1;
        })
        .unwrap();
        assert_eq!((bytes == whole, steps), (true, 4));
        let error = read_plain_file_in_steps(&path, size - 1, |_| {}).unwrap_err();
        assert_eq!(error.to_string(), format!("it has {size} bytes, at most {} are allowed", size - 1));
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
        // The file is sparse: it takes no room on the disk.
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
