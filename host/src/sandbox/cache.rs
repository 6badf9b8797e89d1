use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::elsewhere::Ports;
use super::known::Digest;
use super::load_error::LoadError;

/// Compiled components on disk, by the digest of the component and of the engine that compiled it: 77 µs instead of 61 ms. Beside each
/// lies what it answered when it was asked for its side outputs, so that none of its code runs to plan with it.
///
/// What lies there is native code that will run, so the folder must be writable by this user alone.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    engine: u64,
}

impl Cache {
    pub(super) fn open(folder: &Path, engine: &Engine) -> Result<Self, LoadError> {
        let unusable = |reason: String| LoadError::Cache { folder: folder.to_owned(), reason };
        if !folder.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| unusable(e.to_string()))?;
        }
        let found = fs::symlink_metadata(folder).map_err(|e| unusable(e.to_string()))?;
        let me = rustix::process::geteuid().as_raw();
        if !found.is_dir() {
            return Err(unusable("it is not a folder".to_owned()));
        }
        if found.uid() != me {
            return Err(unusable(format!("it belongs to user {}, not to {me}", found.uid())));
        }
        if found.mode() & 0o022 != 0 {
            return Err(unusable(format!("others may write to it (mode {:o})", found.mode() & 0o777)));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), engine: hasher.finish() })
    }

    /// The component, if it is here.
    pub(super) fn component(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let path = self.path(digest, "cwasm");
        if !path.exists() {
            return None;
        }
        // SAFETY: the file was written by `keep_component` into a folder that only this user can write to (checked in `open`), by an
        // engine with the same configuration and version (its hash is in the name). There is no safe way to load
        // compiled code; compiling again costs a thousand times as much.
        match unsafe { Component::deserialize_file(engine, &path) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiling anew: the cached component cannot be used");
                None
            }
        }
    }

    /// What the component answered when it was asked for its side outputs, if that was kept.
    pub(super) fn ports(&self, digest: &Digest) -> Option<Ports> {
        let text = fs::read(self.path(digest, "ports")).ok()?;
        let ports: Option<Vec<String>> = serde_json::from_slice(&text).ok()?;
        Some(ports.map_or(Ports::NotAsked, Ports::Told))
    }

    /// Keeps compiled code. Not being able to is only logged.
    pub(super) fn keep_component(&self, digest: &Digest, code: &[u8]) {
        self.keep(&self.path(digest, "cwasm"), code);
    }

    /// Keeps what was answered; a failure is not kept.
    pub(super) fn keep_ports(&self, digest: &Digest, ports: &Ports) {
        let told = match ports {
            Ports::NotAsked => None,
            Ports::Told(ports) => Some(ports),
            Ports::Failed(_) => return,
        };
        if let Ok(text) = serde_json::to_vec(&told) {
            self.keep(&self.path(digest, "ports"), &text);
        }
    }

    fn path(&self, digest: &Digest, what: &str) -> PathBuf {
        let mut name = String::with_capacity(88);
        for byte in digest {
            let _ = write!(name, "{byte:02x}");
        }
        let _ = write!(name, "-{:016x}.{what}", self.engine);
        self.folder.join(name)
    }

    fn keep(&self, path: &Path, content: &[u8]) {
        let kept = tempfile::NamedTempFile::new_in(&self.folder).and_then(|mut file| {
            file.write_all(content)?;
            file.persist(path).map_err(|error| error.error)
        });
        if let Err(error) = kept {
            tracing::warn!(path = %path.display(), %error, "what was compiled was not cached");
        }
    }
}
