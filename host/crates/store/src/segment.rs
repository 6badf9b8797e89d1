use xxhash_rust::xxh3::xxh3_64;

use crate::header::FORMAT;

/// The end of a segment's name.
const SUFFIX: &str = ".epochs";
const MAGIC: &[u8; 8] = b"sage-ep\n";

/// The name of the segment that begins with an epoch.
pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The first epoch of the segment with this name. `None` if it is not the name of a segment.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let first = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (segment_name(first) == name).then_some(first)
}

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// The first epoch.
    pub(crate) first: u64,
    /// The seed of all checksums in the segment, which no guest can know.
    pub(crate) seed: u64,
}

/// Why bytes are not the head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHead {
    Damaged,
    Format(u8),
}

impl SegmentHead {
    /// Length in bytes.
    pub(crate) const LENGTH: usize = 40;
    const CHECKED: usize = 32;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LENGTH);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[FORMAT, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        let sum = xxh3_64(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NoHead> {
        let (checked, rest) = bytes.split_at_checked(Self::CHECKED).ok_or(NoHead::Damaged)?;
        let sum = rest.first_chunk().map(|sum| u64::from_le_bytes(*sum)).ok_or(NoHead::Damaged)?;
        if xxh3_64(checked) != sum {
            return Err(NoHead::Damaged);
        }
        let read = || {
            let rest = checked.strip_prefix(MAGIC)?;
            let ([format, ..], rest) = rest.split_first_chunk::<8>()?;
            let (first, rest) = rest.split_first_chunk()?;
            let (seed, _) = rest.split_first_chunk()?;
            Some((*format, Self { first: u64::from_le_bytes(*first), seed: u64::from_le_bytes(*seed) }))
        };
        match read() {
            Some((FORMAT, head)) => Ok(head),
            Some((format, _)) => Err(NoHead::Format(format)),
            None => Err(NoHead::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        let head = SegmentHead { first: 3, seed: 0x1234_5678_9abc_def0 };
        let bytes = head.encode();
        assert_eq!((bytes.len(), SegmentHead::decode(&bytes)), (SegmentHead::LENGTH, Ok(head)));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHead::decode(&flipped), Err(NoHead::Damaged));
        }
        let mut newer = bytes[..SegmentHead::CHECKED].to_vec();
        newer[8] = 2;
        newer.extend(xxh3_64(&newer).to_le_bytes());
        assert_eq!(SegmentHead::decode(&newer), Err(NoHead::Format(2)));
    }

    #[test]
    fn names_of_segments_sort_by_their_epochs() {
        assert_eq!(segment_name(17), "00000000000000000017.epochs");
        assert_eq!(segment_number(&segment_name(u64::MAX)), Some(u64::MAX));
        for other in ["17.epochs", "CURRENT", "0000000000000000001x.epochs", "00000000000000000017.epochs.old"] {
            assert_eq!(segment_number(other), None, "{other}");
        }
    }
}
