use std::fs::{self, File};
use std::path::Path;

use sage_jobs::{FileSignature, VERSION, now, read_json, write_json};
use sage_signatures::{AllowedSigners, FileHash, Signature};

use super::error::{StoreError, failed};
use super::{Digest, FileStore};

/// Signatures of stored files, each beside its file.
impl FileStore {
    /// The verified signature of a file.
    #[must_use]
    pub fn signature(&self, digest: &Digest) -> Option<FileSignature> {
        read_json(&FileSignature::beside(&self.path(digest))).ok()
    }

    /// Verifies a signature of a file that is here, and keeps it.
    ///
    /// # Errors
    /// [`StoreError::Signature`] if it does not count; the file cannot be read, or the signature not written.
    pub fn sign(&self, digest: &Digest, text: &str, signers: &AllowedSigners) -> Result<FileSignature, StoreError> {
        let path = self.path(digest);
        let hash = File::open(&path).and_then(FileHash::of).map_err(failed("read", &path))?;
        let signature = verified(text, signers, &hash)?;
        keep(&path, &signature)?;
        Ok(signature)
    }
}

/// The signature of a text, if it counts for the bytes with this hash.
pub(super) fn verified(text: &str, signers: &AllowedSigners, hash: &FileHash) -> Result<FileSignature, StoreError> {
    let at = now();
    let time = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX)).unwrap_or_default();
    let signer = signers.verify(&Signature::parse(text)?, hash, time)?;
    Ok(FileSignature {
        version: VERSION,
        text: text.to_owned(),
        signer: signer.name,
        fingerprint: signer.fingerprint,
        at,
    })
}

pub(super) fn keep(file: &Path, signature: &FileSignature) -> Result<(), StoreError> {
    Ok(write_json(&FileSignature::beside(file), signature)?)
}

/// Links the signature of a file, if it has one, beside a link to the file.
pub(super) fn link(file: &Path, link: &Path) -> Result<(), StoreError> {
    let at = FileSignature::beside(link);
    match fs::hard_link(FileSignature::beside(file), &at) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        linked => linked.map_err(failed("link", &at)),
    }
}
