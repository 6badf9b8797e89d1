use std::fmt::{Display, Write as _};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache_entry::{BUFFER, Damaged, EntryHeader, decode, encode};
use super::cache_folder::{CODE, CacheFolder};
use super::cached_facts::{read_facts, write_facts};
use super::known::{Digest, Known, KnownFacts};
use super::load_error::LoadError;
use super::sealed_code::UnsealedCode;

/// Compiled components on disk, by the digest of the component and of the engine that compiled it. A load takes
/// less than a millisecond instead of 61 ms. A file also holds the facts that planning needs about the component, so
/// that planning runs none of its code and parses none of it.
///
/// A file with a wrong checksum is not used: a file that lost a page in a power cut or on a bad disk counts as
/// missing. The checked bytes are the loaded bytes: the file is read once, and the engine maps sealed memory instead
/// of the file. If a component cannot be cached, a warning is logged once, and the run goes on.
#[derive(Debug)]
pub(super) struct Cache {
    folder: CacheFolder,
    engine: u64,
    /// Most bytes to keep.
    most: u64,
    /// Whether the warning that nothing can be cached was logged.
    said: AtomicBool,
}

impl Cache {
    pub(super) fn open(folder: &Path, engine: &Engine, most: u64) -> Result<Self, LoadError> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: CacheFolder::open(folder)?, engine: hasher.finish(), most, said: AtomicBool::new(false) })
    }

    /// The component, if the cache holds it.
    pub(super) fn find(&self, engine: &Engine, digest: &Digest) -> Option<Known> {
        let name = format!("{}.{CODE}", self.key(digest));
        let path = self.folder.path().join(&name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return anew(&path, &error),
        };
        CacheFolder::used(&file);
        match read(engine, &name, file) {
            Ok((component, facts)) => Some(Known { digest: *digest, component, facts: Arc::new(facts) }),
            // An earlier version wrote the file, which is no damage. The new content replaces it.
            Err(Unusable::Damaged(Damaged::OtherVersion)) => None,
            Err(error) => anew(&path, &error),
        }
    }

    /// Caches a component with its code. The component was compiled from the file `from`.
    pub(super) fn keep(&self, known: &Known, from: &Path, code: &[u8]) {
        let key = self.key(&known.digest);
        let name = format!("{key}.{CODE}");
        let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
        let header = EntryHeader { from: from.to_string_lossy().into_owned() };
        let kept = write_facts(&known.facts)
            .map_err(io::Error::other)
            .and_then(|facts| encode(&name, &header, &facts, code).map_err(io::Error::other))
            .and_then(|bytes| self.folder.write(&name, &bytes))
            .and_then(|()| self.folder.trim(self.most, &key));
        if let Err(error) = kept
            && !self.said.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(folder = %self.folder.path().display(), %error, "compiled components are not cached");
        }
    }

    fn key(&self, digest: &Digest) -> String {
        let mut key = String::with_capacity(81);
        for byte in digest {
            let _ = write!(key, "{byte:02x}");
        }
        let _ = write!(key, "-{:016x}", self.engine);
        key
    }
}

/// The reason why a file of the cache is not used.
#[derive(Debug, Error)]
enum Unusable {
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error("its facts cannot be read: {0}")]
    Facts(#[from] serde_json::Error),
    #[error("{0:#}")]
    Code(wasmtime::Error),
}

fn read(engine: &Engine, name: &str, file: File) -> Result<(Component, KnownFacts), Unusable> {
    let mut code = UnsealedCode::new().map_err(Damaged::Memory)?;
    let entry = decode(name, BufReader::with_capacity(BUFFER, file), &mut code)?;
    let code = code.seal().map_err(Damaged::Memory)?;
    let facts = read_facts(&entry.facts)?;
    // SAFETY: `keep` wrote these bytes into a folder that only this user can write to (checked when the folder was
    // opened). The checksum proves that they are complete, and the seal that they stay so while the engine has them
    // mapped. An engine with the same configuration and version made them (its hash is in the file's name). There is
    // no safe way to load compiled code; a new compilation costs a hundred times as much.
    let component = unsafe { Component::deserialize_file(engine, code.path()) }.map_err(Unusable::Code)?;
    Ok((component, facts))
}

fn anew<T>(path: &Path, error: &dyn Display) -> Option<T> {
    tracing::warn!(path = %path.display(), %error, "compiling anew: the cached component cannot be used");
    None
}
