use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sage_jobs::{FileSignature, JobFolder, read_json};
use sage_plan::config::TenantName;
use sage_signatures::{AllowedSigners, FileHash};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

use super::error::{StoreError, failed};
use super::signatures;
use super::state_folder::{make_private, sync};
use super::{Digest, JobId, StateFolder};

/// The files that came with pipelines, by their SHA-256. Each tenant has files of its own: whoever knows the digest of
/// another tenant's file neither gets it nor learns that it is here.
#[derive(Debug, Clone)]
pub struct FileStore {
    folder: PathBuf,
    incoming: PathBuf,
    tenants: PathBuf,
}

/// A file of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Revisions of jobs that have it.
    pub used_by: u64,
    /// Who signed it.
    #[serde(default)]
    pub signer: Option<String>,
}

impl FileStore {
    /// Time that an unused file is kept, so that a client can submit what it has just uploaded.
    const KEPT: Duration = Duration::from_secs(60 * 60);

    /// The store of a state folder. Files that an earlier server did not receive whole are removed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(state: &StateFolder) -> Result<Self, StoreError> {
        let store = Self { folder: state.files(), incoming: state.incoming(), tenants: state.tenants() };
        for entry in entries(&store.incoming)? {
            let removed = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            removed.map_err(failed("remove", &entry))?;
        }
        Ok(store)
    }

    /// The files of a tenant. `None`: those of the owner of the machine.
    #[must_use]
    pub fn of(&self, tenant: Option<&TenantName>) -> Self {
        match tenant {
            None => self.clone(),
            Some(tenant) => Self { folder: self.tenants.join(tenant.as_str()).join("components"), ..self.clone() },
        }
    }

    /// Where things are made that last no longer than a request.
    #[must_use]
    pub fn incoming(&self) -> &Path {
        &self.incoming
    }

    /// Makes the folder of a revision: the pipeline file, and links to the files that came with it. Returns where these
    /// are, by the paths that the pipeline file has.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if a file is not here; the folder cannot be written.
    pub fn lay_out(
        &self,
        folder: &JobFolder,
        revision: u32,
        pipeline: &[u8],
        files: &BTreeMap<String, Digest>,
    ) -> Result<BTreeMap<String, PathBuf>, StoreError> {
        let folder = folder.revision(revision);
        make_private(&folder)?;
        let path = folder.join("pipeline.toml");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(pipeline).and_then(|()| file.sync_all()));
        written.map_err(failed("write", &path))?;
        let links = links(&folder, files);
        for (written, digest) in files {
            let Some(link) = links.get(written) else { continue };
            if !link.exists() {
                self.link(digest, link)?;
                signatures::link(&self.path(digest), link)?;
            }
        }
        sync(&folder)?;
        Ok(links)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let (folder, name) = hex.split_at(2);
        self.folder.join(folder).join(name)
    }

    /// A file, if it is here. Its time without a use begins anew.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<StoredFile> {
        let path = self.path(digest);
        let metadata = fs::metadata(&path).ok()?;
        // Only the age of an unused file depends on it.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        let signer = self.signature(digest).map(|signature| signature.signer);
        Some(StoredFile { digest: *digest, size: metadata.len(), used_by: metadata.nlink() - 1, signer })
    }

    /// Begins to receive a file of at most `most` bytes.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn receive(&self, announced: Digest, most: u64) -> Result<Upload, StoreError> {
        let name = JobId::random().map_err(failed("name a file in", &self.incoming))?;
        let path = self.incoming.join(name.to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&path);
        let file = file.map_err(failed("make", &path))?;
        Ok(Upload {
            announced,
            most,
            file,
            path,
            target: self.path(&announced),
            hash: Sha256::new(),
            signed: None,
            size: 0,
        })
    }

    /// Makes a file of the store appear at a path.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if it is not here; the link cannot be made.
    pub fn link(&self, digest: &Digest, at: &Path) -> Result<(), StoreError> {
        match fs::hard_link(self.path(digest), at) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::Missing { digest: digest.to_string() })
            }
            linked => linked.map_err(failed("link", at)),
        }
    }

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
        let signature = signatures::verified(text, signers, &hash)?;
        signatures::keep(&path, &signature)?;
        Ok(signature)
    }

    /// All files, in the order of their digests.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<StoredFile>, StoreError> {
        let mut files = Vec::new();
        for path in self.all()? {
            let Some(digest) = digest_at(&path) else { continue };
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let signer = self.signature(&digest).map(|signature| signature.signer);
            files.push(StoredFile { digest, size: metadata.len(), used_by: metadata.nlink() - 1, signer });
        }
        files.sort_by_key(|file| file.digest);
        Ok(files)
    }

    /// Removes files of the owner and of all tenants that no revision has had for an hour. Returns their number.
    ///
    /// # Errors
    /// The folder cannot be read, or a file cannot be removed.
    pub fn collect_all(&self, now: SystemTime) -> Result<usize, StoreError> {
        let mut removed = self.collect(now)?;
        for tenant in entries(&self.tenants)? {
            removed += Self { folder: tenant.join("components"), ..self.clone() }.collect(now)?;
        }
        Ok(removed)
    }

    fn collect(&self, now: SystemTime) -> Result<usize, StoreError> {
        let mut removed = 0;
        for path in self.all()? {
            let (Ok(metadata), Some(_)) = (fs::metadata(&path), digest_at(&path)) else { continue };
            let unused = metadata.nlink() == 1;
            let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok());
            if unused && age.is_some_and(|age| age > Self::KEPT) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                // Without its file it means nothing, and the next signature replaces it.
                let _ = fs::remove_file(FileSignature::beside(&path));
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn all(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = Vec::new();
        if !self.folder.exists() {
            return Ok(files);
        }
        for folder in entries(&self.folder)? {
            files.extend(entries(&folder)?);
        }
        Ok(files)
    }
}

/// Where the files of a revision are. Only the kind of a file comes from its user.
pub(super) fn links(revision: &Path, files: &BTreeMap<String, Digest>) -> BTreeMap<String, PathBuf> {
    let link = |written: &str, digest: &Digest| {
        let kind = if written.ends_with(".onnx") { "onnx" } else { "wasm" };
        revision.join(format!("{}.{kind}", digest.hex()))
    };
    files.iter().map(|(written, digest)| (written.clone(), link(written, digest))).collect()
}

fn digest_at(path: &Path) -> Option<Digest> {
    let (folder, name) = (path.parent()?.file_name()?.to_str()?, path.file_name()?.to_str()?);
    format!("sha256:{folder}{name}").parse().ok()
}

pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let read = fs::read_dir(folder).and_then(|read| read.map(|entry| entry.map(|entry| entry.path())).collect());
    read.map_err(failed("read", folder))
}

/// A file that is being received. A drop removes what has arrived.
#[derive(Debug)]
pub struct Upload {
    announced: Digest,
    most: u64,
    file: File,
    path: PathBuf,
    target: PathBuf,
    hash: Sha256,
    signed: Option<Signed>,
    size: u64,
}

/// What a signature is verified with once all bytes are here.
#[derive(Debug)]
struct Signed {
    hash: Sha512,
    text: String,
    signers: AllowedSigners,
}

impl Upload {
    /// Has the file's signature verified before the file comes into the store.
    pub fn expect_signature(&mut self, text: String, signers: AllowedSigners) {
        self.signed = Some(Signed { hash: Sha512::new(), text, signers });
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; the bytes cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.most {
            return Err(StoreError::TooLarge { limit: self.most });
        }
        self.hash.update(bytes);
        if let Some(signed) = &mut self.signed {
            signed.hash.update(bytes);
        }
        self.file.write_all(bytes).map_err(failed("write", &self.path))
    }

    /// Puts the file into the store, if its bytes are the announced ones and its signature counts. Returns what is
    /// stored.
    ///
    /// # Errors
    /// [`StoreError::Digest`], [`StoreError::Signature`]; the file cannot be written.
    pub fn finish(mut self) -> Result<StoredFile, StoreError> {
        let actual = Digest::finished(self.hash.clone());
        if actual != self.announced {
            return Err(StoreError::Digest { announced: self.announced.to_string(), actual: actual.to_string() });
        }
        let signature = self.signed.take().map(|Signed { hash, text, signers }| {
            let hash = FileHash { sha256: self.hash.clone().finalize().into(), sha512: hash.finalize().into() };
            signatures::verified(&text, &signers, &hash)
        });
        let signature = signature.transpose()?;
        self.file.sync_all().map_err(failed("sync", &self.path))?;
        let folder = self.target.parent().unwrap_or(&self.target);
        make_private(folder)?;
        // If the file is here already, it is the same one, and revisions have links to it.
        match fs::hard_link(&self.path, &self.target) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            linked => linked.map_err(failed("link", &self.target))?,
        }
        if let Some(signature) = &signature {
            signatures::keep(&self.target, signature)?;
        }
        sync(folder)?;
        let signer = signature.map(|signature| signature.signer);
        Ok(StoredFile { digest: self.announced, size: self.size, used_by: 0, signer })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A file that stays is removed when the store is opened.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(root: &Path) -> (StateFolder, FileStore) {
        let state = StateFolder::open(root).unwrap();
        let store = FileStore::open(&state).unwrap();
        (state, store)
    }

    #[test]
    fn bytes_are_kept_once_and_only_under_their_own_digest() {
        let root = tempfile::tempdir().unwrap();
        let (state, store) = store(root.path());
        let digest = Digest::of(b"one two");
        assert_eq!(store.find(&digest), None);
        for _ in 0..2 {
            let mut upload = store.receive(digest, 100).unwrap();
            upload.write(b"one ").unwrap();
            upload.write(b"two").unwrap();
            assert_eq!(upload.finish().unwrap().size, 7);
        }
        let expected = StoredFile { digest, size: 7, used_by: 0, signer: None };
        assert_eq!(store.find(&digest), Some(expected.clone()));
        assert_eq!(store.list().unwrap(), [expected]);

        let mut wrong = store.receive(Digest::of(b"x"), 100).unwrap();
        wrong.write(b"y").unwrap();
        assert!(matches!(wrong.finish(), Err(StoreError::Digest { .. })));
        let mut large = store.receive(digest, 3).unwrap();
        assert!(matches!(large.write(b"four"), Err(StoreError::TooLarge { limit: 3 })));
        drop(large);
        assert_eq!(store.list().unwrap().len(), 1);
        assert_eq!(entries(&state.incoming()).unwrap().len(), 0, "nothing half-done is left");
    }

    #[test]
    fn a_tenant_neither_has_nor_sees_files_of_others() {
        let root = tempfile::tempdir().unwrap();
        let (_state, store) = store(root.path());
        let [blue, green] = ["blue", "green"].map(|name| store.of(Some(&name.parse().unwrap())));
        let digest = Digest::of(b"bytes");
        let mut upload = blue.receive(digest, 100).unwrap();
        upload.write(b"bytes").unwrap();
        upload.finish().unwrap();
        assert_eq!(blue.list().unwrap().len(), 1);
        for other in [&green, &store] {
            assert_eq!((other.find(&digest), other.list().unwrap().len()), (None, 0));
            assert!(matches!(other.link(&digest, &root.path().join("x")), Err(StoreError::Missing { .. })));
        }
        assert_eq!(store.collect_all(SystemTime::now() + 2 * FileStore::KEPT).unwrap(), 1);
    }

    #[test]
    fn an_unused_file_goes_after_an_hour_and_a_used_one_stays() {
        let root = tempfile::tempdir().unwrap();
        let (_state, store) = store(root.path());
        for bytes in [b"used", b"idle"] {
            let mut upload = store.receive(Digest::of(bytes), 100).unwrap();
            upload.write(bytes).unwrap();
            upload.finish().unwrap();
        }
        let link = root.path().join("link");
        store.link(&Digest::of(b"used"), &link).unwrap();
        assert!(matches!(store.link(&Digest::of(b"none"), &link), Err(StoreError::Missing { .. })));
        let now = SystemTime::now();
        assert_eq!(store.collect(now).unwrap(), 0);
        assert_eq!(store.collect(now + 2 * FileStore::KEPT).unwrap(), 1);
        assert_eq!(store.find(&Digest::of(b"used")).unwrap().used_by, 1);
        assert_eq!(store.find(&Digest::of(b"idle")), None);
    }
}
