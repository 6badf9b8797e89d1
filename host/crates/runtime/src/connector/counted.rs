use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::refusal::Refusal;

/// A file that knows how much of it was read, and notices when some of it goes away.
///
/// A regular file is simply read. Everything else is asked first whether there is something, for at most the timeout that
/// was set; if not, [`Read::read`] answers [`io::ErrorKind::WouldBlock`], so that whoever reads can go and see to a drain.
///
/// A regular file that becomes shorter while it is read is an error. One that is written over, or cut and written again between two reads
/// of 256 KiB, looks like any other.
pub(super) struct Counted {
    file: File,
    /// Where the reading begins.
    start: u64,
    read: u64,
    /// How many bytes there were at the start, of a regular file.
    size: Option<u64>,
    timeout: Duration,
}

impl Counted {
    /// Reads from `start` on, where the file stands.
    pub(super) fn new(file: File, start: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let size = metadata.is_file().then(|| metadata.len().saturating_sub(start));
        Ok(Self { file, start, read: 0, size, timeout: Duration::ZERO })
    }

    /// How many bytes there were when it was opened, of a regular file.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes were read.
    pub(super) fn count(&self) -> u64 {
        self.read
    }

    /// How long the next read may wait for something to come; a regular file never waits.
    pub(super) fn set_patience(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// What was there is still there. A fact of the file system's, asked each time: the end of a read says nothing of what was cut.
    fn check_length(&self, size: u64, at_end: bool) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let now = metadata.len().saturating_sub(self.start);
        // Kernel files (/proc, /sys) say any size and have no blocks.
        if now < size || (at_end && self.read < size && metadata.blocks() > 0) {
            let what = format!(
                "it was cut short while it was read: {} bytes were read, it had {size} and has {now} now",
                self.read
            );
            return Err(
                Refusal::new(what, "did a log rotation truncate it? read a file that nobody cuts, or a copy").into()
            );
        }
        Ok(())
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.size {
            None => {
                // Once: what has come must not be late because more might.
                wait_for_input(&self.file, std::mem::take(&mut self.timeout))?;
            }
            Some(size) => self.check_length(size, false)?,
        }
        let n = self.file.read(buffer)?;
        self.read += n as u64;
        if n == 0
            && !buffer.is_empty()
            && let Some(size) = self.size.filter(|size| self.read < *size)
        {
            self.check_length(size, true)?;
        }
        Ok(n)
    }
}

fn wait_for_input(file: &File, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    let fd = file.as_fd();
    // A hang-up counts as input: the read that follows sees the end.
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
                println!("skipped: {path} is not there");
                continue;
            };
            let mut text = String::new();
            Counted::new(file, 0).unwrap().read_to_string(&mut text).unwrap();
            assert!(!text.is_empty(), "{path}");
        }
    }
}
