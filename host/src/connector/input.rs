use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::ConnectorError;
use crate::plan::Compression;

/// Bytes to read, unpacked: a file, a pipe or standard input.
///
/// A regular file is simply read. Everything else is asked first whether there is something, for at most the patience that
/// was set; if not, [`Read::read`] answers [`io::ErrorKind::WouldBlock`], so that whoever reads can go and see to a drain.
pub(super) struct Input {
    unpacked: Unpacked,
    size: Option<u64>,
}

enum Unpacked {
    Plain(Counted),
    Gzip(Box<MultiGzDecoder<BufReader<Counted>>>),
}

/// A file that knows how much of it was read.
struct Counted {
    file: File,
    read: u64,
    /// `None` for a regular file, which never makes anybody wait.
    patience: Option<Duration>,
}

impl Input {
    /// Packed bytes are read in pieces of this size: below it system calls show, above it nothing gets faster.
    const PACKED_CHUNK: usize = 128 << 10;

    /// Opens a file.
    pub(super) fn open(path: &Path, compression: Compression) -> Result<Self, ConnectorError> {
        let cannot = |cause| ConnectorError::caused(format!("cannot open \"{}\"", path.display()), cause);
        // Not blocking: opening a pipe would wait for its writer. A regular file does not care.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if metadata.is_dir() {
            return Err(ConnectorError::new(format!("\"{}\" is a folder, not a file", path.display()))
                .hint(format!("name the files in it, for example path = \"{}\"", path.join("*").display())));
        }
        let packed = match compression {
            Compression::Gzip => true,
            Compression::None => false,
            Compression::ByName => path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz")),
        };
        Ok(Self::of(file, metadata.is_file().then_some(metadata.len()), packed))
    }

    /// Standard input, from where it stands.
    pub(super) fn stdin() -> Result<Self, ConnectorError> {
        let cannot = |cause: io::Error| ConnectorError::caused("cannot read standard input", cause);
        let file = File::from(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 0).map_err(|e| cannot(e.into()))?);
        let metadata = file.metadata().map_err(cannot)?;
        let at = rustix::fs::tell(&file).unwrap_or(0);
        Ok(Self::of(file, metadata.is_file().then(|| metadata.len().saturating_sub(at)), false))
    }

    fn of(file: File, size: Option<u64>, packed: bool) -> Self {
        let counted = Counted { file, read: 0, patience: size.is_none().then_some(Duration::ZERO) };
        let unpacked = if packed {
            let buffered = BufReader::with_capacity(Self::PACKED_CHUNK, counted);
            Unpacked::Gzip(Box::new(MultiGzDecoder::new(buffered)))
        } else {
            Unpacked::Plain(counted)
        };
        Self { unpacked, size }
    }

    /// How many bytes there are, packed, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes were read, packed.
    pub(super) fn consumed(&self) -> u64 {
        match &self.unpacked {
            Unpacked::Plain(counted) => counted.read,
            Unpacked::Gzip(decoder) => decoder.get_ref().get_ref().read,
        }
    }

    /// How long the next read may wait for something to come; those after it do not wait.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        let counted = match &mut self.unpacked {
            Unpacked::Plain(counted) => counted,
            Unpacked::Gzip(decoder) => decoder.get_mut().get_mut(),
        };
        if let Some(current) = &mut counted.patience {
            *current = patience;
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.unpacked {
            Unpacked::Plain(counted) => counted.read(buffer),
            Unpacked::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(patience) = &mut self.patience {
            // Once: what has come must not be late because more might.
            wait_for_input(&self.file, std::mem::take(patience))?;
        }
        let n = self.file.read(buffer)?;
        self.read += n as u64;
        Ok(n)
    }
}

fn wait_for_input(file: &File, patience: Duration) -> io::Result<()> {
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    let fd = file.as_fd();
    // A hang-up counts as input: the read that follows sees the end.
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
