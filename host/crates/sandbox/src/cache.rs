use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache_entry::{EntryHeader, decode, encode, is_foreign};
use super::cache_folder::{CacheFolder, EXTENSIONS};
use super::elsewhere::Ports;
use super::known::Digest;
use super::load_error::LoadError;
use sage_plan::Description;

/// Compiled components on disk, by the digest of the component and of the engine that compiled it. A load takes
/// less than a millisecond instead of 61 ms. The cache also holds the component's answer when it was asked for
/// its side outputs, so that planning runs none of its code.
///
/// A file with a wrong checksum is not used: a file that lost a page in a power cut or on a bad disk counts as
/// missing. The checked bytes are the loaded bytes: the file is read once and is not mapped. If a component
/// cannot be cached, a warning is logged once, and the run goes on.
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
    pub(super) fn component(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let [code, ..] = EXTENSIONS;
        self.load(digest, code, |bytes| {
            // SAFETY: `keep_component` wrote these bytes into a folder that only this user can write to
            // (checked when the folder was opened). The checksum proves that they are complete. An engine with
            // the same configuration and version made them (its hash is in the file's name). There is no safe
            // way to load compiled code; a new compilation costs a hundred times as much.
            unsafe { Component::deserialize(engine, bytes) }.map_err(|error| format!("{error:#}"))
        })
    }

    /// The component's answer when it was asked for its side outputs, if the cache holds it.
    pub(super) fn ports(&self, digest: &Digest) -> Option<Ports> {
        let [_, ports, _] = EXTENSIONS;
        let ports: Option<Vec<String>> =
            self.load(digest, ports, |bytes| serde_json::from_slice(bytes).map_err(|error| error.to_string()))?;
        Some(ports.map_or(Ports::NotAsked, Ports::Told))
    }

    /// The component's description, if the cache knows it: `Some(None)` if the component has none.
    pub(super) fn description(&self, digest: &Digest) -> Option<Option<Description>> {
        let [_, _, description] = EXTENSIONS;
        self.load(digest, description, |bytes| serde_json::from_slice(bytes).map_err(|error| error.to_string()))
    }

    /// Caches the description of the component in the file `from`.
    pub(super) fn keep_description(&self, digest: &Digest, from: &Path, description: Option<&Description>) {
        let [_, _, extension] = EXTENSIONS;
        if let Ok(text) = serde_json::to_vec(&description) {
            self.keep(digest, extension, from, &text);
        }
    }

    /// Caches compiled code of the component in the file `from`.
    pub(super) fn keep_component(&self, digest: &Digest, from: &Path, code: &[u8]) {
        let [extension, ..] = EXTENSIONS;
        self.keep(digest, extension, from, code);
    }

    /// Caches the component's answer about its side outputs. A failure is not cached.
    pub(super) fn keep_ports(&self, digest: &Digest, from: &Path, ports: &Ports) {
        let told = match ports {
            Ports::NotAsked => None,
            Ports::Told(ports) => Some(ports),
            Ports::Failed(_) => return,
        };
        let [_, extension, _] = EXTENSIONS;
        if let Ok(text) = serde_json::to_vec(&told) {
            self.keep(digest, extension, from, &text);
        }
    }

    fn load<T>(&self, digest: &Digest, what: &str, read: impl FnOnce(&[u8]) -> Result<T, String>) -> Option<T> {
        let name = format!("{}.{what}", self.key(digest));
        let path = self.folder.path().join(&name);
        let mut bytes = Vec::new();
        let opened = File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes).map(|_| file));
        let outcome = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
            // An earlier version wrote it, which is no damage. The new content replaces it.
            Ok(_) if is_foreign(&bytes) => return None,
            Ok(file) => {
                CacheFolder::used(&file);
                decode(&name, &bytes).map_err(|damaged| damaged.to_string()).and_then(|entry| read(entry.body))
            }
        };
        outcome
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "compiling anew: the cached component cannot be used");
            })
            .ok()
    }

    fn key(&self, digest: &Digest) -> String {
        let mut key = String::with_capacity(81);
        for byte in digest {
            let _ = write!(key, "{byte:02x}");
        }
        let _ = write!(key, "-{:016x}", self.engine);
        key
    }

    fn keep(&self, digest: &Digest, what: &str, from: &Path, content: &[u8]) {
        let key = self.key(digest);
        let name = format!("{key}.{what}");
        let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
        let header = EntryHeader { from: from.to_string_lossy().into_owned() };
        let kept = encode(&name, &header, content)
            .map_err(io::Error::other)
            .and_then(|bytes| self.folder.write(&name, &bytes))
            .and_then(|()| self.folder.trim(self.most, &key));
        if let Err(error) = kept
            && !self.said.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(folder = %self.folder.path().display(), %error, "compiled components are not cached");
        }
    }
}
