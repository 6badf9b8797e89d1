//! Signatures of stored files, each beside its file.

use std::fs;
use std::path::Path;

use sage_jobs::{FileSignature, VERSION, now, write_json};
use sage_signatures::{AllowedSigners, FileHash, Signature};

use super::error::{StoreError, failed};

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
