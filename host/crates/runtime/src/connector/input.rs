use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::ConnectorError;
use super::counted::Counted;
use super::gzip_members::GzipMembers;
use super::magic::{Packing, packing};
use super::peeking::Peeking;
use super::refusal::Refusal;
use super::zstd_frames::ZstdFrames;
use sage_plan::Compression;

/// Decompressed bytes of a file, a pipe or standard input.
///
/// The compression is detected from the first bytes, before the first read returns. A compression that
/// contradicts the pipeline file or the file's name is refused.
pub(super) struct Input {
    state: State,
    wanted: Wanted,
    size: Option<u64>,
}

enum State {
    Unseen(Peeking<Counted>),
    Plain(Peeking<Counted>),
    Gzip(Box<GzipMembers<BufReader<Peeking<Counted>>>>),
    Zstd(Box<ZstdFrames<Peeking<Counted>>>),
    /// Only during the change from one state to another.
    Nothing,
}

/// The expected compression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Anything,
    /// The file's name has this extension.
    Packed(&'static str),
    Plain,
    Exactly(Packing),
}

impl Input {
    /// Size of the reads of compressed bytes. Smaller reads make system calls visible in the profile; larger
    /// ones are not faster.
    const PACKED_CHUNK: usize = 128 << 10;

    /// Opens a file.
    pub(super) fn open(path: &Path, compression: Compression) -> Result<Self, ConnectorError> {
        let cannot = |cause| ConnectorError::caused(format!("cannot open \"{}\"", path.display()), cause);
        // Non-blocking, because opening a pipe would wait for its writer. A regular file ignores the flag.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if metadata.is_dir() {
            return Err(ConnectorError::new(format!("\"{}\" is a folder, not a file", path.display()))
                .hint(format!("name the files in it, for example path = \"{}\"", path.join("*").display())));
        }
        let wanted = match wanted(compression) {
            Wanted::Anything => named(path).map_or(Wanted::Anything, Wanted::Packed),
            wanted => wanted,
        };
        Ok(Self::of(Counted::new(file, 0).map_err(cannot)?, wanted))
    }

    /// A plain file at its current position, which is behind its first bytes.
    pub(super) fn behind_the_beginning(counted: Counted) -> Self {
        let size = counted.size();
        Self { state: State::Plain(Peeking::new(counted)), wanted: Wanted::Plain, size }
    }

    /// A file to which more is appended, from its beginning.
    pub(super) fn following(counted: Counted) -> Self {
        Self::of(counted, Wanted::Anything)
    }

    /// Whether the bytes are known to be packed.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.state, State::Gzip(_) | State::Zstd(_))
    }

    /// Whether the bytes are known to be those of the file.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.state, State::Plain(_))
    }

    /// Standard input, from its current position.
    pub(super) fn stdin(compression: Compression) -> Result<Self, ConnectorError> {
        let cannot = |cause: io::Error| ConnectorError::caused("cannot read standard input", cause);
        let file = File::from(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 0).map_err(|e| cannot(e.into()))?);
        let at = rustix::fs::tell(&file).unwrap_or(0);
        Ok(Self::of(Counted::new(file, at).map_err(cannot)?, wanted(compression)))
    }

    fn of(counted: Counted, wanted: Wanted) -> Self {
        let size = counted.size();
        Self { state: State::Unseen(Peeking::new(counted)), wanted, size }
    }

    /// Number of bytes before decompression, if known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Number of bytes read so far, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        self.counted().map_or(0, Counted::count)
    }

    fn counted(&self) -> Option<&Counted> {
        match &self.state {
            State::Unseen(input) | State::Plain(input) => Some(input.input()),
            State::Gzip(members) => members.input().map(|buffered| buffered.get_ref().input()),
            State::Zstd(frames) => Some(frames.input().input()),
            State::Nothing => None,
        }
    }

    /// The file, if reads may find no input.
    pub(super) fn awaited(&self) -> Option<&Arc<File>> {
        self.counted()?.awaited()
    }

    /// Looks at the first bytes and installs the decoder that they need.
    #[cold]
    fn begin(&mut self) -> io::Result<()> {
        let State::Unseen(input) = &mut self.state else { return Ok(()) };
        let (found, empty) = input.look(|head, no_more| Some((packing(head, no_more)?, head.is_empty())))?;
        if !empty {
            self.check(found)?;
        }
        let State::Unseen(input) = std::mem::replace(&mut self.state, State::Nothing) else { return Ok(()) };
        self.state = match found {
            None => State::Plain(input),
            Some(Packing::Gzip) => {
                let buffered = BufReader::with_capacity(Self::PACKED_CHUNK, input);
                State::Gzip(Box::new(GzipMembers::new(buffered)))
            }
            Some(Packing::Zstd) => State::Zstd(Box::new(ZstdFrames::new(input))),
        };
        Ok(())
    }

    /// Refuses a compression that differs from the expected one. An empty file is accepted under any name.
    fn check(&self, found: Option<Packing>) -> Result<(), Refusal> {
        let is = |packing: Option<Packing>| packing.map_or("neither gzip nor zstd", Packing::name);
        match (&self.wanted, found) {
            (Wanted::Plain, Some(packing)) => Err(Refusal::new(
                format!("it is {}, and its compression is said to be \"none\"", packing.name()),
                "leave compression out: the first bytes show the compression; format = \"whole\" takes a file as it is",
            )),
            (Wanted::Exactly(wanted), found) if found != Some(*wanted) => Err(Refusal::new(
                format!("it is {}, and its compression is said to be \"{}\"", is(found), wanted.name()),
                "leave compression out: the first bytes show the compression; is it damaged?",
            )),
            (Wanted::Packed(ending), None) => Err(Refusal::new(
                format!("it is called .{ending}, and its first bytes are neither those of gzip nor of zstd"),
                "is it damaged? with compression = \"none\" it is read as the plain text that it then is",
            )),
            _ => Ok(()),
        }
    }
}

impl Packing {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

fn wanted(compression: Compression) -> Wanted {
    match compression {
        Compression::Found => Wanted::Anything,
        Compression::None => Wanted::Plain,
        Compression::Gzip => Wanted::Exactly(Packing::Gzip),
        Compression::Zstd => Wanted::Exactly(Packing::Zstd),
    }
}

/// The extension of a name that promises a compressed file.
fn named(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?;
    ["gz", "tgz", "zst", "tzst"].into_iter().find(|ending| extension.eq_ignore_ascii_case(ending))
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Plain(input) => return input.read(buffer),
                State::Gzip(members) => return members.read(buffer),
                State::Zstd(frames) => return frames.read(buffer),
                State::Unseen(_) => self.begin()?,
                State::Nothing => return Ok(0),
            }
        }
    }
}
