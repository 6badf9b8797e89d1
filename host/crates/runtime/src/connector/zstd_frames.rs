use std::io::{self, Read, Write};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::refusal::Refusal;

/// Decompresses the consecutive frames of a zstd file as one text; skippable frames are skipped.
///
/// The decoder reads one block at a time and cannot be interrupted, so each block is gathered here first. A
/// pipe that pauses in the middle of a block is therefore no error. A window of more than 100 MiB, as from
/// `zstd --long` or `zstd --ultra -22`, is refused, because it takes the host's memory.
pub(super) struct ZstdFrames<R> {
    input: R,
    held: Vec<u8>,
    at: usize,
    ended: bool,
    decoder: FrameDecoder,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a frame, or at the end.
    Between,
    /// This number of bytes of a skippable frame is left.
    Skipping(usize),
    /// Inside a frame; `checksum` tells whether a checksum follows it.
    Frame { checksum: bool },
}

impl<R: Read> ZstdFrames<R> {
    /// Bytes of one read. Smaller reads make system calls visible in the profile; larger ones are not faster.
    /// Also the largest size of a block, which must fit.
    const CHUNK: usize = 128 << 10;

    pub(super) fn new(input: R) -> Self {
        let decoder = FrameDecoder::new();
        Self { input, held: Vec::new(), at: 0, ended: false, decoder, state: State::Between }
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    fn held(&self) -> &[u8] {
        self.held.get(self.at..).unwrap_or_default()
    }

    /// Gathers `count` bytes; `false` if the input has fewer.
    fn gather(&mut self, count: usize) -> io::Result<bool> {
        while self.held().len() < count && !self.ended {
            self.held.drain(..self.at);
            self.at = 0;
            let len = self.held.len();
            self.held.resize(len + Self::CHUNK, 0);
            let read = self.input.read(self.held.get_mut(len..).unwrap_or_default());
            self.held.truncate(len + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(n) => self.ended = n == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.held().len() >= count)
    }

    fn must_gather(&mut self, count: usize) -> io::Result<()> {
        if self.gather(count)? {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its last zstd frame is cut short"))
    }

    /// Reads the beginning of a frame; `false` at the end of the input.
    fn begin_frame(&mut self) -> io::Result<bool> {
        if !self.gather(1)? {
            return Ok(false);
        }
        self.must_gather(5)?;
        match *self.held() {
            [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50 => {
                self.must_gather(8)?;
                let size = self.held().get(4..8).and_then(|size| <[u8; 4]>::try_from(size).ok()).unwrap_or_default();
                self.at += 8;
                self.state = State::Skipping(usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX));
            }
            [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] => {
                let size = header_size(descriptor);
                self.must_gather(size)?;
                let mut header = self.held.get(self.at..self.at + size).unwrap_or_default();
                self.decoder.reset(&mut header).map_err(|error| damaged(&error))?;
                self.at += size;
                self.state = State::Frame { checksum: descriptor & 0b100 != 0 };
            }
            _ => {
                let what = "the bytes after its last zstd frame are not another frame";
                return Err(
                    Refusal::new(what, "is something appended to it, or is it damaged? zstd -t says more").into()
                );
            }
        }
        Ok(true)
    }

    /// Decompresses a block.
    fn decode_block(&mut self, checksum: bool) -> io::Result<()> {
        self.must_gather(3)?;
        let (kind, size, last) = match *self.held() {
            [a, b, c, ..] => {
                let header = u32::from_le_bytes([a, b, c, 0]);
                ((header >> 1) & 3, (header >> 3) as usize, header & 1 == 1)
            }
            _ => (0, 0, false),
        };
        // A block of one repeated byte stores that byte once.
        let stored = if kind == 1 { 1 } else { size };
        let whole = 3 + stored + if last && checksum { 4 } else { 0 };
        self.must_gather(whole)?;
        let mut block = self.held.get(self.at..self.at + whole).unwrap_or_default();
        self.decoder
            .decode_blocks(&mut block, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| damaged(&error))?;
        self.at += whole - block.len();
        Ok(())
    }

    fn check_sum(&self) -> io::Result<()> {
        let (said, is) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if said.is_some() && said != is {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a zstd frame is wrong"));
        }
        Ok(())
    }
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Between => {
                    if !self.begin_frame()? {
                        return Ok(0);
                    }
                }
                State::Skipping(0) => self.state = State::Between,
                State::Skipping(left) => {
                    self.must_gather(1)?;
                    let n = left.min(self.held().len());
                    self.at += n;
                    self.state = State::Skipping(left - n);
                }
                State::Frame { checksum } => {
                    if self.decoder.can_collect() > 0 {
                        return self.decoder.read(buffer);
                    }
                    if self.decoder.is_finished() {
                        self.check_sum()?;
                        self.state = State::Between;
                    } else {
                        self.decode_block(checksum)?;
                    }
                }
            }
        }
    }
}

/// Length of a frame's header in bytes, its magic number included (RFC 8878, 3.1.1.1).
fn header_size(descriptor: u8) -> usize {
    let single_segment = descriptor & 0b10_0000 != 0;
    let dictionary = match descriptor & 0b11 {
        3 => 4,
        size => usize::from(size),
    };
    let content = match descriptor >> 6 {
        0 => usize::from(single_segment),
        flag => 1 << flag,
    };
    5 + usize::from(!single_segment) + dictionary + content
}

fn damaged(error: &impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// Compresses each write as a frame of its own. Written bytes can be decompressed even if the rest of the file
/// is lost.
pub(super) struct ZstdWriter<W> {
    output: W,
    is_empty: bool,
}

impl<W: Write> ZstdWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, is_empty: true }
    }

    /// Finishes the output. An empty file becomes an empty frame.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.is_empty {
            self.write_frame(b"")?;
        }
        Ok(self.output)
    }

    fn write_frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_empty = false;
        self.output.write_all(&compress_to_vec(bytes, CompressionLevel::Fastest))
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.write_frame(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(pieces: &[&[u8]]) -> Vec<u8> {
        let mut writer = ZstdWriter::new(Vec::new());
        pieces.iter().for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap()
    }

    /// An input that returns a fixed number of bytes for each read, and has no bytes at present before each.
    struct Trickle<'a>(&'a [u8], usize, bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let n = self.1.min(buffer.len());
            self.0.read(&mut buffer[..n])
        }
    }

    fn unpack(packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut frames = ZstdFrames::new(Trickle(packed, piece, false));
        let mut text = Vec::new();
        let mut buffer = [0; 1000];
        loop {
            match frames.read(&mut buffer) {
                Ok(0) => return Ok(text),
                Ok(n) => text.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// `printf 'one\ntwo\n' | zstd`, which has a checksum.
    const BY_ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x58\x41\x00\x00one\ntwo\n\xe6\xa6\x0e\x40";

    #[test]
    fn frames_follow_each_other_some_are_skipped_and_damage_is_seen() {
        let (one, two) = (pack(&[b"one\n"]), pack(&[b"two\n"]));
        let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        for piece in [1, 7, 1 << 20] {
            assert_eq!(unpack(&[&one[..], skipped, &two].concat(), piece).unwrap(), b"one\ntwo\n");
            assert_eq!(unpack(&pack(&[]), piece).unwrap(), b"");
            assert_eq!(unpack(BY_ZSTD, piece).unwrap(), b"one\ntwo\n");
            assert!(unpack(&[&one[..], b"text!"].concat(), piece).is_err());
            for end in 1..one.len() {
                assert!(unpack(&one[..end], piece).is_err(), "{end} of {}", one.len());
            }
        }
        let mut damaged = one.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(unpack(&damaged, 100).unwrap_err().to_string(), "the checksum of a zstd frame is wrong");
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(
            words in prop::collection::vec(
                prop::sample::select(vec!["{\"carrier\":\"AA\"}\n", "\0", "é", "aaaaaaaaaaaaaaaa"]),
                0..3000,
            ),
            noise in prop::collection::vec(any::<u8>(), 0..3000), piece in 1usize..5000,
        ) {
            let text = words.concat();
            let packed = pack(&[text.as_bytes(), &noise, text.as_bytes()]);
            prop_assert_eq!(unpack(&packed, piece).unwrap(), [text.as_bytes(), &noise, text.as_bytes()].concat());
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(
            mut packed in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()
        ) {
            let _ = unpack(&[b"\x28\xb5\x2f\xfd", &packed[..]].concat(), 64);
            let whole = pack(&[&packed]);
            packed.clone_from(&whole);
            packed[at.index(whole.len())] ^= 0x10;
            let _ = unpack(&packed, 64);
        }
    }
}
