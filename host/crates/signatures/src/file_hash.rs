use std::io::{self, Read};

use sha2::{Digest as _, Sha256, Sha512};

/// The hashes of a file that signatures can be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHash {
    /// SHA-256, which is also the name of a stored file.
    pub sha256: [u8; 32],
    /// SHA-512, which `ssh-keygen` signs by default.
    pub sha512: [u8; 64],
}

impl FileHash {
    /// Reads to the end.
    ///
    /// # Errors
    /// The bytes cannot be read.
    pub fn of(mut from: impl Read) -> io::Result<Self> {
        let (mut sha256, mut sha512) = (Sha256::new(), Sha512::new());
        let mut piece = vec![0; 64 << 10];
        loop {
            match from.read(&mut piece) {
                Ok(0) => return Ok(Self { sha256: sha256.finalize().into(), sha512: sha512.finalize().into() }),
                Ok(read) => {
                    let bytes = piece.get(..read).unwrap_or_default();
                    sha256.update(bytes);
                    sha512.update(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
