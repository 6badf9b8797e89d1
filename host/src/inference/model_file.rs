use std::fs::File;
use std::io::Read;

use sha2::{Digest, Sha256};

use super::InferenceError;
use crate::plan::ModelSpec;

/// The largest file that is read: what a protobuf message, which an ONNX file is, can have at most.
const LARGEST: u64 = 2 << 30;

/// The bytes of a model's file, which are the declared ones.
///
/// # Errors
/// [`InferenceError::Backend`]: it cannot be read, is no file, or hashes to something else than declared (both digests are told);
/// [`InferenceError::TooLarge`].
pub fn read_model(spec: &ModelSpec) -> Result<Vec<u8>, InferenceError> {
    let place = || format!("model \"{}\": {}", spec.name, spec.path.display());
    let failed = |error: std::io::Error| InferenceError::Backend(format!("{}: {error}", place()));
    // Looked at before it is opened: opening a pipe would wait for whoever writes to it.
    let facts = std::fs::metadata(&spec.path).map_err(failed)?;
    if !facts.is_file() {
        return Err(InferenceError::Backend(format!("{} is no file", place())));
    }
    let too_large = |size| InferenceError::TooLarge { what: format!("bytes of {} are", place()), size, limit: LARGEST };
    if facts.len() > LARGEST {
        return Err(too_large(facts.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0));
    let file = File::open(&spec.path).map_err(failed)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(bytes.len() as u64));
    }
    check(spec, &bytes)?;
    Ok(bytes)
}

/// Whether the bytes are the declared ones; where none are declared, any.
fn check(spec: &ModelSpec, bytes: &[u8]) -> Result<(), InferenceError> {
    let Some(declared) = spec.sha256 else { return Ok(()) };
    let found: [u8; 32] = Sha256::digest(bytes).into();
    if found == declared {
        return Ok(());
    }
    Err(InferenceError::Backend(format!(
        "model \"{}\": {} has the SHA-256 digest {}, declared is {}",
        spec.name,
        spec.path.display(),
        hex(&found),
        hex(&declared)
    )))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::BackendChoice;

    fn spec(path: &Path, sha256: Option<[u8; 32]>) -> ModelSpec {
        ModelSpec {
            name: "m".to_owned(),
            path: path.to_owned(),
            sha256,
            backend: BackendChoice::Auto,
            max_rows: 32,
            max_delay: Duration::ZERO,
            batching: None,
            deterministic: false,
            workspace: 0,
        }
    }

    #[test]
    fn a_file_is_read_if_it_is_the_declared_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, b"abc").unwrap();
        let digest: [u8; 32] = Sha256::digest(b"abc").into();
        for declared in [None, Some(digest)] {
            assert_eq!(read_model(&spec(&path, declared)).unwrap(), b"abc");
        }
        let error = read_model(&spec(&path, Some([0xab; 32]))).unwrap_err().to_string();
        let digests = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &"ab".repeat(32)];
        assert!(digests.iter().all(|digest| error.contains(digest)), "{error}");
    }

    #[test]
    fn what_is_no_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [(folder.path().join("none.onnx"), "No such file"), (folder.path().to_owned(), "is no file")];
        for (path, expected) in cases {
            let error = read_model(&spec(&path, None)).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(path.to_str().unwrap()), "{error}");
        }
        let huge = folder.path().join("huge.onnx");
        File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        let error = read_model(&spec(&huge, None)).unwrap_err();
        assert!(matches!(error, InferenceError::TooLarge { limit: LARGEST, .. }), "{error}");
    }
}
