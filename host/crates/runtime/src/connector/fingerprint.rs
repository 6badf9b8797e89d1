use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of a file, by which it is told from another file that has its inode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// Number of the bytes.
    pub(super) bytes: u64,
    /// XXH3 of them.
    sum: u64,
}

/// Most bytes of a fingerprint. Log files that begin alike for so long are told apart by their inodes only.
const MOST: u64 = 1024;

impl Fingerprint {
    /// The fingerprint of a file of this length.
    pub(super) fn of(file: &File, length: u64) -> io::Result<Self> {
        let mut head = vec![0; usize::try_from(length.min(MOST)).unwrap_or(0)];
        file.read_exact_at(&mut head, 0)?;
        Ok(Self { bytes: head.len() as u64, sum: xxh3_64(&head) })
    }

    /// Whether a file begins with the same bytes.
    pub(super) fn fits(self, file: &File) -> io::Result<bool> {
        if self.bytes == 0 {
            return Ok(true);
        }
        match Self::of(file, self.bytes) {
            Ok(found) => Ok(found == self),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a longer file would have a longer fingerprint.
    pub(super) fn may_grow(self) -> bool {
        self.bytes < MOST
    }
}
