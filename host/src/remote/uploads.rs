use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sage_machine::read_plain_file;
use sage_plan::config::{Diagnostic, Diagnostics, Pipeline, Span, resolve};
use sage_runtime::engine::JobError;
use sage_serve::api::{Client, ClientError};
use sage_serve::store::{Digest, StoredFile};

use super::components::{put, signature_beside};
use super::connection::of_client;
use crate::failure::Failure;
use crate::refusal::of_job;

/// Largest file that is sent.
const LARGEST: u64 = 1 << 30;

/// The components and models of a pipeline, by the paths that its file has.
#[derive(Debug, Default)]
pub(super) struct Uploads(BTreeMap<String, (PathBuf, Digest)>);

impl Uploads {
    /// Reads the files that a pipeline names. Those that cannot be read are errors with their places in the pipeline
    /// file.
    pub(super) fn find(pipeline: &Pipeline, base: &Path) -> Result<Self, Failure> {
        let components = pipeline.components().map(|component| (component.path.value.clone(), component.path.span));
        let models =
            pipeline.models.iter().map(|model| (model.spec.path.to_string_lossy().into_owned(), model.path_span));
        let named: Vec<(String, Option<Span>)> = components.chain(models).collect();
        let mut found = BTreeMap::new();
        let mut errors = Diagnostics::new(pipeline.source.clone());
        for (written, span) in named {
            if found.contains_key(&written) {
                continue;
            }
            let path = resolve(base, &written);
            match read_plain_file(&path, LARGEST) {
                Ok(bytes) => {
                    found.insert(written, (path, Digest::of(&bytes)));
                }
                Err(error) => {
                    let message = format!("cannot read {}: {error}", path.display());
                    errors.push(Diagnostic::new(message).at(span).hint("a component is built with `sage-host build`"));
                }
            }
        }
        errors.sort();
        if errors.is_empty() { Ok(Self(found)) } else { Err(of_job(&JobError::Invalid(errors))) }
    }

    /// The digests by the paths.
    pub(super) fn digests(&self) -> BTreeMap<String, Digest> {
        self.0.iter().map(|(written, (_, digest))| (written.clone(), *digest)).collect()
    }

    /// Sends the files that the server does not have. Returns their number.
    pub(super) fn send(&self, client: &Client) -> Result<usize, Failure> {
        let mut sent = Vec::new();
        for (path, digest) in self.0.values() {
            if sent.contains(digest) {
                continue;
            }
            let at = format!("/v1/components/{digest}");
            let signature = signature_beside(path)?;
            match client.get::<StoredFile>(&at) {
                // What is not signed there can be signed now.
                Ok(stored) if stored.signer.is_some() || signature.is_none() => continue,
                Ok(_) => {
                    put(client, digest, Vec::new(), signature.as_deref()).map_err(of_client)?;
                    continue;
                }
                Err(ClientError::Refused(problem)) if problem.code == "no-such-component" => {}
                Err(error) => return Err(of_client(error)),
            }
            let unread = |error| Failure::invalid(format!("cannot read {}: {error}", path.display()));
            let bytes = fs::read(path).map_err(unread)?;
            put(client, digest, bytes, signature.as_deref()).map_err(of_client)?;
            sent.push(*digest);
        }
        Ok(sent.len())
    }
}
