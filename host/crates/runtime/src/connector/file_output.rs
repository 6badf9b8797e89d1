use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::Path;

use super::line_output::LineOutput;
use super::packed::Packed;
use sage_plan::Compression;

/// The file, with the encoder that compresses the bytes before they reach it.
pub(super) struct FileOutput {
    packed: Packed,
    file: File,
    /// Position of the file after the last flush. A compressed file is readable up to here.
    readable: u64,
    /// Whether bytes follow the last whole part of compressed data.
    part: bool,
}

impl FileOutput {
    /// Writes `file`, which will be called `path`, behind its first `readable` bytes.
    pub(super) fn new(file: File, compression: Compression, path: &Path, readable: u64) -> io::Result<Self> {
        let handle = file.try_clone()?;
        Ok(Self { packed: Packed::new(file, compression, path), file: handle, readable, part: false })
    }

    /// The bytes of the file so far, without those that the encoder holds back.
    pub(super) fn position(&mut self) -> io::Result<u64> {
        self.file.stream_position()
    }

    /// Writes the rest of the bytes, so that the file is well formed, and returns the file.
    pub(super) fn finish(self) -> io::Result<File> {
        self.packed.finish()
    }

    /// Makes everything that was written durable, as whole parts of compressed data. Returns the length of the file.
    pub(super) fn make_durable(&mut self) -> io::Result<u64> {
        if std::mem::take(&mut self.part) {
            self.packed.end_part()?;
        }
        self.file.sync_data()?;
        self.readable = self.file.stream_position()?;
        Ok(self.readable)
    }

    /// After a failed write, cuts the unreadable end off a compressed file. The rest holds exactly the records
    /// that count as written.
    pub(super) fn cut_back(self) {
        let (file, readable, keeps_back) = (&self.file, self.readable, self.keeps_back());
        // An encoder writes once more when it is dropped.
        drop(self.packed);
        if keeps_back && let Err(error) = file.set_len(readable) {
            tracing::debug!(%error, "a packed output that failed keeps its torn end");
        }
    }
}

impl Write for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part = true;
        self.packed.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.part {
            // A flush would begin a part.
            return Ok(());
        }
        self.packed.flush()?;
        if self.keeps_back() {
            // A device or a pipe has no position, and its end is never cut off.
            self.readable = self.file.stream_position().unwrap_or(0);
        }
        Ok(())
    }
}

impl LineOutput for FileOutput {
    fn keeps_back(&self) -> bool {
        !matches!(self.packed, Packed::Plain(_))
    }
}
