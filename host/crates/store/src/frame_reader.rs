use std::io;

use xxhash_rust::xxh3::Xxh3;

use crate::disk::DiskFile;
use crate::header::{Header, MAGIC, NoHeader};

/// Bytes that are read from the disk at once.
const WINDOW: usize = 256 << 10;

/// Reads the frames of a segment, one after the other.
pub(crate) struct FrameReader<'f> {
    file: &'f dyn DiskFile,
    seed: u64,
    /// The first byte of the next frame.
    at: u64,
    /// Nothing behind this byte is read.
    end: u64,
    window: Vec<u8>,
    /// The position of the window's first byte.
    window_at: u64,
}

/// A frame whose checksum matches.
#[derive(Debug)]
pub(crate) struct ReadFrame {
    pub(crate) header: Header,
    /// The name of the stage.
    pub(crate) stage: String,
    pub(crate) checksum: u64,
}

/// Why there is no further frame.
#[derive(Debug)]
pub(crate) enum NoFrame {
    /// The bytes end here, between two frames.
    End,
    /// The bytes are not a whole frame.
    Damaged(&'static str),
    /// An intact header has something that this program does not know.
    Newer(String),
    /// The disk cannot be read.
    Io(io::Error),
}

impl From<io::Error> for NoFrame {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<'f> FrameReader<'f> {
    /// A reader of the frames between two bytes of a segment.
    pub(crate) fn new(file: &'f dyn DiskFile, seed: u64, at: u64, end: u64) -> Self {
        Self { file, seed, at, end, window: Vec::new(), window_at: 0 }
    }

    /// The first byte of the next frame.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Goes back to an earlier frame.
    pub(crate) fn go_back(&mut self, at: u64) {
        self.at = at;
    }

    /// Reads the next frame. Its body goes to `body` if `wanted` says so.
    ///
    /// After an error the reader stays in front of the frame.
    pub(crate) fn next(
        &mut self,
        body: &mut Vec<u8>,
        wanted: impl FnOnce(&Header) -> bool,
    ) -> Result<ReadFrame, NoFrame> {
        const SHORT: NoFrame = NoFrame::Damaged("the bytes end within a frame");
        body.clear();
        let (seed, at) = (self.seed, self.at);
        let bytes = self.bytes(at, Header::LENGTH)?;
        if bytes.is_empty() {
            return Err(NoFrame::End);
        }
        let header = Header::decode(bytes, seed, at).map_err(|no| match no {
            NoHeader::Damaged => NoFrame::Damaged("the bytes are not the header of a frame"),
            NoHeader::Format(format) => NoFrame::Newer(format!("a frame of format {format}")),
            NoHeader::Kind(kind) => NoFrame::Newer(format!("a frame of kind {kind}")),
            NoHeader::Cipher(cipher) => NoFrame::Newer(format!("a frame with cipher {cipher}")),
        })?;
        let mut hash = Xxh3::with_seed(seed);
        hash.update(bytes);
        if header.frame_length() > self.end.saturating_sub(at) {
            return Err(SHORT);
        }
        let at = at + Header::LENGTH as u64;
        let stage = self.bytes(at, usize::from(header.stage))?;
        hash.update(stage);
        // Whether the name is a text is decided when the checksum is known to match.
        let stage = stage.to_vec();
        let mut at = at + u64::from(header.stage);
        let mut left = header.body;
        let is_wanted = wanted(&header);
        while left > 0 {
            let bytes = self.bytes(at, usize::try_from(left).unwrap_or(WINDOW).min(WINDOW))?;
            if bytes.is_empty() {
                return Err(SHORT);
            }
            hash.update(bytes);
            if is_wanted {
                body.extend_from_slice(bytes);
            }
            (at, left) = (at + bytes.len() as u64, left.saturating_sub(bytes.len() as u64));
        }
        let checksum = self.bytes(at, 8)?.first_chunk().map(|sum| u64::from_le_bytes(*sum)).ok_or(SHORT)?;
        if checksum != hash.digest() {
            return Err(NoFrame::Damaged("the checksum of a frame does not match"));
        }
        let stage = String::from_utf8(stage).map_err(|_| NoFrame::Damaged("the name of a stage is not a text"))?;
        self.at = at + 8;
        Ok(ReadFrame { header, stage, checksum })
    }

    /// Whether there is an intact header of a later epoch from here on. It proves that this epoch was synced, because
    /// the later one was begun after that.
    pub(crate) fn has_later_epoch(&mut self, epoch: u64) -> io::Result<bool> {
        let mut at = self.at;
        while at < self.end {
            let seed = self.seed;
            let bytes = self.bytes(at, WINDOW)?;
            if bytes.len() < Header::LENGTH {
                return Ok(false);
            }
            for (offset, candidate) in bytes.windows(Header::LENGTH).enumerate() {
                if !candidate.starts_with(&MAGIC) {
                    continue;
                }
                if let Ok(header) = Header::decode(candidate, seed, at + offset as u64)
                    && header.epoch > epoch
                {
                    return Ok(true);
                }
            }
            at += (bytes.len() - (Header::LENGTH - 1)) as u64;
        }
        Ok(false)
    }

    /// Up to `length` bytes from a position on: fewer only at the end.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let length = usize::try_from(self.end.saturating_sub(at)).unwrap_or(length).min(length);
        let offset = at.checked_sub(self.window_at).and_then(|offset| usize::try_from(offset).ok());
        let is_inside = offset.is_some_and(|offset| offset.saturating_add(length) <= self.window.len());
        if !is_inside {
            let wanted = usize::try_from(self.end.saturating_sub(at)).unwrap_or(WINDOW).min(WINDOW.max(length));
            self.window.resize(wanted, 0);
            let read = self.file.read_at(&mut self.window, at)?;
            self.window.truncate(read);
            self.window_at = at;
        }
        let offset = if is_inside { offset.unwrap_or(0) } else { 0 };
        let rest = self.window.get(offset..).unwrap_or(&[]);
        Ok(rest.get(..length).unwrap_or(rest))
    }
}
