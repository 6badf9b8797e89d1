use std::fs::File;
use std::path::Path;

use sage_jobs::{FileSignature, JobOrder, read_json};
use sage_signatures::{AllowedSigners, FileHash, Signature};

use crate::failure::Failure;

/// Checks the files that came with a pipeline before any of them is loaded: each has the bytes that were uploaded, and
/// the signature that the tenant's policy asks for still counts.
pub(super) fn check_files(order: &JobOrder) -> Result<(), Failure> {
    let signers = order.signers.as_deref().map(AllowedSigners::parse).transpose();
    let signers = signers.map_err(|error| Failure::invalid(format!("the allowed signers cannot be read: {error}")))?;
    for (written, path) in &order.files {
        // The server names a file by its digest. The name of another one says nothing.
        let Some(digest) = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 64) else {
            continue;
        };
        let unread =
            |error: std::io::Error| Failure::invalid(format!("cannot read the file of \"{written}\": {error}"));
        let hash = File::open(path).and_then(FileHash::of).map_err(unread)?;
        let actual: String = hash.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        if actual != digest {
            let message = format!("\"{written}\" is not what was uploaded: its SHA-256 is {actual}, not {digest}");
            return Err(Failure::invalid(message).hint("someone changed the state folder of the server; submit again"));
        }
        if let Some(signers) = &signers {
            check_signature(path, signers, &hash).map_err(|why| {
                Failure::invalid(format!("\"{written}\" is not loaded: {why}")).hint(
                    "sign it with `ssh-keygen -Y sign -n sage-host`, by a signer of the tenant in host.toml, \
                     and deploy it again",
                )
            })?;
        }
    }
    Ok(())
}

fn check_signature(path: &Path, signers: &AllowedSigners, hash: &FileHash) -> Result<(), String> {
    let stored: FileSignature = read_json(&FileSignature::beside(path))
        .map_err(|_| "it has no signature, which the tenant requires".to_owned())?;
    let signature = Signature::parse(&stored.text).map_err(|error| error.to_string())?;
    signers.verify(&signature, hash, jiff::Timestamp::now()).map_err(|error| error.to_string())?;
    Ok(())
}
