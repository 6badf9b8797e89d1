use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::ModelError;

/// A model's file as it was read, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: [u8; 32],
}

impl ModelFile {
    /// The largest file that is taken: it lies in memory, and ONNX cannot hold more than 2 GiB in one.
    pub const MOST_BYTES: u64 = 1 << 30;

    /// Reads a file of at most `most` bytes. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`] also for what is no plain file, [`ModelError::TooLarge`].
    pub fn read(path: &Path, most: u64) -> Result<Self, ModelError> {
        let unreadable = |error: io::Error| ModelError::Unreadable { path: path.to_owned(), reason: error.to_string() };
        // Asked before it is opened: opening a pipe waits for somebody who writes to it.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is no plain file")));
        }
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let too_large = |size| ModelError::TooLarge { path: path.to_owned(), size, limit: most };
        if size > most {
            return Err(too_large(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // One more than may be, for a file that grows meanwhile.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > most {
            return Err(too_large(bytes.len() as u64));
        }
        let sha256 = Sha256::digest(&bytes).into();
        Ok(Self { path: path.to_owned(), bytes, sha256 })
    }

    /// Whether it is the file that was declared.
    ///
    /// # Errors
    /// [`ModelError::Digest`].
    pub fn check(&self, declared: Option<[u8; 32]>) -> Result<(), ModelError> {
        match declared {
            Some(declared) if declared != self.sha256 => {
                Err(ModelError::Digest { path: self.path.clone(), declared: hex(declared), actual: self.sha256_hex() })
            }
            _ => Ok(()),
        }
    }

    /// What is in it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it hashes to.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The same in hexadecimal digits.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex(self.sha256)
    }
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        fs::write(&path, "abc").unwrap();
        let file = ModelFile::read(&path, 3).unwrap();
        assert_eq!(file.bytes(), b"abc");
        assert_eq!(file.sha256_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let error = ModelFile::read(&path, 2).unwrap_err();
        assert_eq!(error, ModelError::TooLarge { path: path.clone(), size: 3, limit: 2 });
        for missing in [folder.path().join("n.onnx"), folder.path().to_owned()] {
            let error = ModelFile::read(&missing, 3).unwrap_err();
            assert!(matches!(error, ModelError::Unreadable { .. }), "{error}");
        }
    }

    #[test]
    fn another_file_than_the_declared_one_is_told_with_both_digests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        fs::write(&path, "abc").unwrap();
        let file = ModelFile::read(&path, 3).unwrap();
        assert_eq!(file.check(None), Ok(()));
        assert_eq!(file.check(Some(Sha256::digest("abc").into())), Ok(()));
        let said = file.check(Some([0xab; 32])).unwrap_err().to_string();
        assert!(said.contains(&"ab".repeat(32)) && said.contains(&file.sha256_hex()), "{said}");
    }
}
