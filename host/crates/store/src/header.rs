use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::frame::{Frame, FrameKind};

/// Version of the format of segments and frames.
pub(crate) const FORMAT: u8 = 1;

/// The first bytes of a frame. The first one occurs in no UTF-8 text.
pub(crate) const MAGIC: [u8; 4] = [0xFB, b'S', b'E', b'F'];

const WHOLE: u8 = 0xF0;

/// The kind of a frame in a segment: one that the engine put, or one of the store itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A frame of the engine.
    Put(FrameKind),
    /// The end of an epoch.
    Whole,
}

impl RecordKind {
    fn byte(self) -> u8 {
        match self {
            Self::Put(FrameKind::Base) => 1,
            Self::Put(FrameKind::Changes) => 2,
            Self::Put(FrameKind::Position) => 3,
            Self::Put(FrameKind::Sink) => 4,
            Self::Put(FrameKind::Letters) => 5,
            Self::Put(FrameKind::Ended) => 6,
            Self::Put(FrameKind::Watermark) => 7,
            Self::Whole => WHOLE,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        match byte {
            WHOLE => Some(Self::Whole),
            _ => FrameKind::ALL.into_iter().map(Self::Put).find(|kind| kind.byte() == byte),
        }
    }
}

/// The header of a frame.
///
/// Its checksum depends on the segment's seed and on the position in the file. So bytes in the body of a frame never
/// pass for a header, even if a guest chose them: a guest does not know the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: RecordKind,
    pub(crate) epoch: u64,
    pub(crate) instance: u32,
    pub(crate) lane: u32,
    /// Length of the stage's name.
    pub(crate) stage: u16,
    /// Length of the body.
    pub(crate) body: u64,
}

/// Why bytes are not a header that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// The bytes are not a header.
    Damaged,
    /// The header is intact, and of a format that this program does not know.
    Format(u8),
    /// The header is intact, and of a kind that this program does not know.
    Kind(u8),
    /// The header is intact, and the frame is encrypted.
    Cipher(u8),
}

impl Header {
    /// Length of a header in bytes.
    pub(crate) const LENGTH: usize = 48;
    /// Offset of the checksum.
    const CHECKED: usize = 40;

    /// The header of a frame of the store itself.
    pub(crate) fn own(kind: RecordKind, epoch: u64, body: usize) -> Self {
        Self { kind, epoch, instance: 0, lane: 0, stage: 0, body: body as u64 }
    }

    /// The bytes of this header at a position of a segment.
    pub(crate) fn encode(&self, seed: u64, at: u64) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let mut to = Fields(&mut bytes);
        to.put(MAGIC);
        to.put([FORMAT, self.kind.byte(), 0, 0]);
        to.put(self.epoch.to_le_bytes());
        to.put(self.instance.to_le_bytes());
        to.put(self.lane.to_le_bytes());
        to.put(self.body.to_le_bytes());
        to.put(self.stage.to_le_bytes());
        to.put([0; 6]);
        let (checked, sum) = bytes.split_at_mut(Self::CHECKED);
        sum.copy_from_slice(&checksum(checked, seed, at).to_le_bytes());
        bytes
    }

    /// Reads the header at a position of a segment.
    pub(crate) fn decode(bytes: &[u8], seed: u64, at: u64) -> Result<Self, NoHeader> {
        let (checked, rest) = bytes.split_at_checked(Self::CHECKED).ok_or(NoHeader::Damaged)?;
        let sum = rest.first_chunk().map(|sum| u64::from_le_bytes(*sum)).ok_or(NoHeader::Damaged)?;
        if !checked.starts_with(&MAGIC) || checksum(checked, seed, at) != sum {
            return Err(NoHeader::Damaged);
        }
        Self::read(checked).unwrap_or(Err(NoHeader::Damaged))
    }

    fn read(bytes: &[u8]) -> Option<Result<Self, NoHeader>> {
        let (_magic, rest) = bytes.split_first_chunk::<4>()?;
        let ([format, kind, cipher, _], rest) = rest.split_first_chunk::<4>()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (instance, rest) = rest.split_first_chunk()?;
        let (lane, rest) = rest.split_first_chunk()?;
        let (body, rest) = rest.split_first_chunk()?;
        let (stage, _) = rest.split_first_chunk()?;
        if *format != FORMAT {
            return Some(Err(NoHeader::Format(*format)));
        }
        if *cipher != 0 {
            return Some(Err(NoHeader::Cipher(*cipher)));
        }
        let Some(kind) = RecordKind::of(*kind) else { return Some(Err(NoHeader::Kind(*kind))) };
        let header = Self {
            kind,
            epoch: u64::from_le_bytes(*epoch),
            instance: u32::from_le_bytes(*instance),
            lane: u32::from_le_bytes(*lane),
            stage: u16::from_le_bytes(*stage),
            body: u64::from_le_bytes(*body),
        };
        let fits = usize::from(header.stage) <= Frame::LONGEST_STAGE && header.body <= Frame::LONGEST_BODY as u64;
        Some(if fits { Ok(header) } else { Err(NoHeader::Damaged) })
    }

    /// Length of the whole frame in bytes.
    pub(crate) fn frame_length(&self) -> u64 {
        (Self::LENGTH as u64 + u64::from(self.stage) + 8).saturating_add(self.body)
    }
}

fn checksum(bytes: &[u8], seed: u64, at: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed.wrapping_add(at))
}

/// The rest of a buffer, which is filled from its front.
struct Fields<'a>(&'a mut [u8]);

impl Fields<'_> {
    fn put<const N: usize>(&mut self, field: [u8; N]) {
        if let Some((to, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *to = field;
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: RecordKind) -> Header {
        Header { kind, epoch: 7, instance: 1, lane: 2, stage: 5, body: 99 }
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_at_its_place_only() {
        let kinds = FrameKind::ALL.map(RecordKind::Put).into_iter().chain([RecordKind::Whole]);
        for header in kinds.map(header) {
            let bytes = header.encode(3, 1000);
            assert_eq!(Header::decode(&bytes, 3, 1000), Ok(header));
            assert_eq!(Header::decode(&bytes, 4, 1000), Err(NoHeader::Damaged), "another seed");
            assert_eq!(Header::decode(&bytes, 3, 1001), Err(NoHeader::Damaged), "another place");
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Header::decode(&flipped, 3, 1000), Err(NoHeader::Damaged), "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(Header::decode(&bytes[..length], 3, 1000), Err(NoHeader::Damaged), "{length} bytes");
            }
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_told_apart_from_damage() {
        for (byte, value, expected) in
            [(4, 9, NoHeader::Format(9)), (5, 77, NoHeader::Kind(77)), (6, 1, NoHeader::Cipher(1))]
        {
            let mut bytes = header(RecordKind::Whole).encode(3, 1000);
            bytes[byte] = value;
            let sum = checksum(&bytes[..Header::CHECKED], 3, 1000);
            bytes[Header::CHECKED..].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(Header::decode(&bytes, 3, 1000), Err(expected));
        }
    }
}
