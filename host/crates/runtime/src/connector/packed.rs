use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::zstd_frames::ZstdWriter;
use sage_plan::Compression;

/// A file that is written unchanged, or compressed.
///
/// All bytes that were [flushed](Write::flush) can be decompressed, also while the file is being written and
/// after a run that was killed. The decompressor returns them, and then reports that the end is missing.
pub(super) enum Packed {
    Plain(File),
    Gzip(GzEncoder<File>),
    Zstd(ZstdWriter<File>),
}

impl Packed {
    /// Writes `file`, which will be called `path`.
    pub(super) fn new(file: File, compression: Compression, path: &Path) -> Self {
        let ends_in = |ending| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        let compression = match compression {
            Compression::Found if ends_in("gz") => Compression::Gzip,
            Compression::Found if ends_in("zst") => Compression::Zstd,
            said => said,
        };
        match compression {
            Compression::Found | Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(GzEncoder::new(file, Level::default())),
            Compression::Zstd => Self::Zstd(ZstdWriter::new(file)),
        }
    }

    /// Ends the compressed data so that more may follow it, as a member or frame of its own.
    ///
    /// # Errors
    /// The file cannot be written. It is then not whole.
    pub(super) fn end_part(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => {}
            Self::Gzip(encoder) => {
                let file = encoder.get_ref().try_clone()?;
                encoder.try_finish()?;
                *encoder = GzEncoder::new(file, Level::default());
            }
            // Each write is a frame.
            Self::Zstd(_) => {}
        }
        Ok(())
    }

    /// Writes the end of the compressed data.
    pub(super) fn finish(self) -> io::Result<File> {
        match self {
            Self::Plain(file) => Ok(file),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::super::zstd_frames::ZstdFrames;
    use super::*;

    #[test]
    fn what_is_flushed_can_be_unpacked_before_the_end_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plain", "a.gz", "a.zst", "a.GZ", "a.Zst"] {
            let path = folder.path().join(name);
            let mut packed = Packed::new(File::create(&path).unwrap(), Compression::Found, &path);
            packed.write_all(b"one\n").unwrap();
            packed.flush().unwrap();
            assert!(unpacked(&path).starts_with(b"one\n"), "{name}");
            packed.write_all(b"two\n").unwrap();
            packed.finish().unwrap();
            assert_eq!(unpacked(&path), b"one\ntwo\n", "{name}");
            assert_eq!(fs::read(&path).unwrap().starts_with(b"one"), name == "plain", "{name}");
        }
    }

    /// The bytes that can be decompressed.
    fn unpacked(path: &Path) -> Vec<u8> {
        let bytes = fs::read(path).unwrap();
        let mut text = Vec::new();
        let _ = match bytes.first() {
            Some(0x1f) => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text),
            Some(0x28) => ZstdFrames::new(&bytes[..]).read_to_end(&mut text),
            _ => (&bytes[..]).read_to_end(&mut text),
        };
        text
    }
}
