use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::tensor_wire::{LONGEST_FACTS, get_json, get_outcome, put_json};
use super::message::{LARGEST_MODEL, LoadRequest, PIECE, ask, possible};
use sage_batch::wire::{WireError, put_bytes, put_u64};
use sage_models::{InferenceError, ModelFacts};
use sage_plan::ModelSpec;
use sage_plan::config::BackendChoice;
use sage_process::Link;

/// A model's file, held open so that a restart loads the same file. A new file under the same path has no
/// effect, and a change of the file itself changes its digest.
#[derive(Debug)]
pub(super) struct ModelFile {
    name: String,
    backend: BackendChoice,
    path: PathBuf,
    file: File,
    length: u64,
    workspace: u64,
    /// The required digest of the file.
    sha256: Option<[u8; 32]>,
}

impl ModelFile {
    /// Opens the file of a model.
    ///
    /// # Errors
    /// The file cannot be read, is not a regular file, or is larger than a model can be.
    pub(super) fn open(spec: &ModelSpec) -> Result<Self, InferenceError> {
        let unreadable = |error: &dyn std::fmt::Display| unreadable(&spec.path, error);
        // This check comes before the open, because the open of a pipe would wait for a writer.
        if !fs::metadata(&spec.path).map_err(|error| unreadable(&error))?.is_file() {
            return Err(unreadable(&"it is no file"));
        }
        let file = File::open(&spec.path).map_err(|error| unreadable(&error))?;
        let length = file.metadata().map_err(|error| unreadable(&error))?.len();
        if length > LARGEST_MODEL {
            let what = format!("bytes of model \"{}\" are", spec.name);
            return Err(InferenceError::TooLarge { what, size: length, limit: LARGEST_MODEL });
        }
        let (name, path) = (spec.name.clone(), spec.path.clone());
        Ok(Self { name, backend: spec.backend, path, file, length, workspace: spec.workspace, sha256: spec.sha256 })
    }

    /// Loads the model at the other end of `link`. A successful load fixes the digest, which every later load
    /// must match.
    ///
    /// The outer error is that of the link.
    pub(super) fn load(&mut self, link: &mut Link) -> Result<Result<ModelFacts, InferenceError>, WireError> {
        put_u64(link, ask::LOAD)?;
        // The file consists of the weights and little else.
        let memory = self.length.saturating_add(self.workspace);
        let order = LoadRequest { name: self.name.clone(), backend: self.backend, length: self.length, memory };
        put_json(link, &order)?;
        let mut hash = Sha256::new();
        let mut piece = vec![0; usize::try_from(self.length).unwrap_or(PIECE).clamp(1, PIECE)];
        let mut at = 0;
        let read = loop {
            match self.file.read_at(&mut piece, at) {
                Ok(0) if at == self.length => break Ok(()),
                Ok(read) if read > 0 && at + read as u64 <= self.length => {
                    let read = piece.get(..read).unwrap_or_default();
                    hash.update(read);
                    put_bytes(link, read)?;
                    at += read.len() as u64;
                }
                Ok(_) => break Err(unreadable(&self.path, &"its length changed while it was read")),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(unreadable(&self.path, &error)),
            }
        };
        put_bytes(link, &[])?;
        let found: [u8; 32] = hash.finalize().into();
        let sound = read.and_then(|()| match self.sha256 {
            Some(expected) if expected != found => Err(InferenceError::Backend(format!(
                "{}: its sha256 is {}, {} was expected",
                self.path.display(),
                hex(&found),
                hex(&expected)
            ))),
            _ => Ok(()),
        });
        put_u64(link, u64::from(sound.is_ok()))?;
        link.send();
        if let Err(error) = sound {
            // The other end drops the bytes and sends no answer.
            return Ok(Err(error));
        }
        let outcome = get_outcome(link)?;
        let loaded = match outcome {
            Ok(()) => Ok(get_json(link, LONGEST_FACTS)?),
            Err(error) => Err(possible(error)?),
        };
        link.taken();
        if loaded.is_ok() {
            self.sha256 = Some(found);
        }
        Ok(loaded)
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> InferenceError {
    InferenceError::Backend(format!("cannot read {}: {error}", path.display()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
