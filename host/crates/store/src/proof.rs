use std::io;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::disk::{Disk, DiskFile};

/// The file with the proof.
pub(crate) const SYNCED: &str = "synced";

const MAGIC: &[u8; 8] = b"sage-sy\n";
const CHECKED: usize = 24;

/// The proof that an epoch was synced to the disk. It is written as soon as the sync has returned, before anyone is
/// told.
///
/// The proof itself is not synced, because a killed process leaves it in the kernel's memory. While it says nothing
/// of the last epoch, bytes at the end that are not whole count as never synced, which they are after a loss of
/// power; with it they count as damaged. A proof that is damaged is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proof(Vec<u8>);

impl Proof {
    /// Reads the proof in a folder. Its absence is no error.
    pub(crate) fn load(disk: &dyn Disk) -> io::Result<Self> {
        let mut bytes = vec![0; CHECKED + 8];
        match disk.open(SYNCED) {
            Ok(file) => {
                let read = file.read_at(&mut bytes, 0)?;
                bytes.truncate(read);
                Ok(Self(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// The last epoch of a segment that is known to be synced.
    pub(crate) fn epoch(&self, first: u64, seed: u64) -> Option<u64> {
        let (epoch, _) = self.0.get(16..)?.split_first_chunk()?;
        let epoch = u64::from_le_bytes(*epoch);
        (self.0 == encode(first, seed, epoch)).then_some(epoch)
    }

    /// Writes the proof for an epoch of a segment.
    pub(crate) fn write(file: &dyn DiskFile, first: u64, seed: u64, epoch: u64) -> io::Result<()> {
        file.write_at(&encode(first, seed, epoch), 0)
    }
}

fn encode(first: u64, seed: u64, epoch: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&epoch.to_le_bytes());
    let sum = xxh3_64_with_seed(&bytes, seed);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Writes bytes of a file again, and syncs them.
///
/// After a sync that failed, the kernel may count pages as written that are not on the disk. A later sync would then
/// succeed and do nothing.
pub(crate) fn rewrite(file: &dyn DiskFile, start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(buffer.len()).min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        let read = file.read_at(part, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(part.get(..read).unwrap_or_default(), at)?;
        at += read as u64;
    }
    file.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_segment_and_with_no_flipped_bit() {
        let bytes = encode(3, 77, 5);
        assert_eq!(Proof(bytes.clone()).epoch(3, 77), Some(5));
        assert_eq!(Proof(bytes.clone()).epoch(4, 77), None);
        assert_eq!(Proof(bytes.clone()).epoch(3, 78), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Proof(flipped).epoch(3, 77), None, "bit {bit}");
        }
        assert_eq!(Proof::default().epoch(3, 77), None);
    }
}
