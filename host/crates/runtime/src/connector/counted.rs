use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::refusal::Refusal;

/// A file that counts the bytes read, and notices when the file becomes shorter.
///
/// A regular file is read directly. Any other file is read when it has input. Without input, [`Read::read`] returns
/// [`io::ErrorKind::WouldBlock`], so that the caller can wait for [`Counted::awaited`] and for a drain.
///
/// A regular file that becomes shorter during the reading is an error. A file that is overwritten, or truncated
/// and rewritten between two reads of 256 KiB, cannot be told from an unchanged file.
pub(super) struct Counted {
    file: Arc<File>,
    /// Position at which the reading begins.
    start: u64,
    read: u64,
    /// Bytes from `start` to the end when the file was opened. `None` unless it is a regular file.
    size: Option<u64>,
    /// For a file that is followed: whether its end is known to be the end.
    followed: Option<Arc<AtomicBool>>,
}

impl Counted {
    /// Reads from `start` on; the file must already be at that position.
    pub(super) fn new(file: File, start: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let size = metadata.is_file().then(|| metadata.len().saturating_sub(start));
        Ok(Self { file: Arc::new(file), start, read: 0, size, followed: None })
    }

    /// Reads a regular file to which more is appended: at its end there is no input at present, until `is_over`.
    /// The file is at position `at`, which counts as read.
    pub(super) fn following(file: Arc<File>, at: u64, is_over: Arc<AtomicBool>) -> Self {
        Self { file, start: 0, read: at, size: None, followed: Some(is_over) }
    }

    /// Bytes in the file when it was opened. `None` unless it is a regular file.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes read so far.
    pub(super) fn count(&self) -> u64 {
        self.read
    }

    /// The file, if reads may find no input. `None` for a regular file.
    pub(super) fn awaited(&self) -> Option<&Arc<File>> {
        (self.size.is_none() && self.followed.is_none()).then_some(&self.file)
    }

    /// Returns an error if the file has become shorter. The file system is asked each time, because the end of
    /// a read does not show whether bytes were cut off.
    fn check_length(&self, size: u64, at_end: bool) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let now = metadata.len().saturating_sub(self.start);
        // Kernel files (/proc, /sys) report an arbitrary size and have no blocks.
        if now < size || (at_end && self.read < size && metadata.blocks() > 0) {
            let what = format!(
                "it was cut short while it was read: {} bytes were read, it had {size} and has {now} now",
                self.read
            );
            let hint = "did a log rotation truncate it? read a file that is not truncated, or a copy";
            return Err(Refusal::new(what, hint).into());
        }
        Ok(())
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.size {
            None if self.followed.is_some() => {}
            None => require_input(&self.file)?,
            Some(size) => self.check_length(size, false)?,
        }
        let n = (&*self.file).read(buffer)?;
        self.read += n as u64;
        if n == 0
            && !buffer.is_empty()
            && self.followed.as_ref().is_some_and(|is_over| !is_over.load(Ordering::Relaxed))
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if n == 0
            && !buffer.is_empty()
            && let Some(size) = self.size.filter(|size| self.read < *size)
        {
            self.check_length(size, true)?;
        }
        Ok(n)
    }
}

fn require_input(file: &File) -> io::Result<()> {
    let fd = file.as_fd();
    // A hang-up counts as input; the next read then sees the end.
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec::default())) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sage_test_support::{Need, skip};

    use super::*;

    #[test]
    fn a_file_that_becomes_shorter_is_an_error_with_both_lengths_and_one_that_grows_is_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        let mut buffer = [0; 100];
        for (left, read_before) in [(0, 100), (50, 100), (150, 100), (299, 300)] {
            fs::write(&path, [b'x'; 300]).unwrap();
            let mut counted = Counted::new(File::open(&path).unwrap(), 0).unwrap();
            for _ in 0..read_before / 100 {
                assert_eq!(counted.read(&mut buffer).unwrap(), 100);
            }
            File::options().write(true).open(&path).unwrap().set_len(left).unwrap();
            let error = counted.read(&mut buffer).unwrap_err().to_string();
            let expected = format!(
                "it was cut short while it was read: {read_before} bytes were read, it had 300 and has {left} now"
            );
            assert_eq!(error, expected);
        }
        let mut counted = Counted::new(File::open(&path).unwrap(), 0).unwrap();
        counted.read_exact(&mut buffer).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(500).unwrap();
        let mut rest = Vec::new();
        assert_eq!(counted.read_to_end(&mut rest).unwrap(), 400);
    }

    #[test]
    fn files_of_the_kernel_say_any_length_and_are_read_to_their_end() {
        for path in ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"] {
            let Ok(file) = File::open(path) else {
                skip(Need::Sysfs, format_args!("{path} is not there"));
                continue;
            };
            let mut text = String::new();
            Counted::new(file, 0).unwrap().read_to_string(&mut text).unwrap();
            assert!(!text.is_empty(), "{path}");
        }
    }
}
