use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sage_jobs::{SecretFile, now, read_json, write_json};
use sage_plan::config::{ReferenceKind, TenantName, parse};
use serde::{Deserialize, Serialize};

use super::error::{StoreError, failed};
use super::files::entries;
use super::state_folder::make_private;
use super::{Digest, StateFolder};

/// The secrets of tenants, one file each, which only the user of the server may read. The values are not encrypted:
/// whoever reads the disk as this user or as root reads them.
#[derive(Debug, Clone)]
pub struct SecretStore {
    folder: PathBuf,
    tenants: PathBuf,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    /// The name that its user gave to it.
    pub name: String,
    /// When it was last set, in milliseconds since the Unix epoch.
    pub changed: u64,
}

impl SecretStore {
    /// Most bytes of a value.
    pub const LONGEST: usize = 64 << 10;
    /// Most secrets of a tenant.
    pub const MOST: usize = 256;

    /// The secrets of a state folder: those of the owner of the machine.
    #[must_use]
    pub fn open(state: &StateFolder) -> Self {
        Self { folder: state.root().join("secrets"), tenants: state.tenants() }
    }

    /// The secrets of a tenant. `None`: those of the owner.
    #[must_use]
    pub fn of(&self, tenant: Option<&TenantName>) -> Self {
        match tenant {
            None => self.clone(),
            Some(tenant) => Self { folder: self.tenants.join(tenant.as_str()).join("secrets"), ..self.clone() },
        }
    }

    /// Checks a name.
    ///
    /// # Errors
    /// What a name may be.
    pub fn check_name(name: &str) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 63 && name.chars().all(plain) {
            return Ok(());
        }
        Err(format!(
            "\"{}\" is no name for a secret: 1 to 63 letters, digits, -, _ and dots, the first a letter or digit",
            name.escape_default()
        ))
    }

    /// Keeps a value. Returns whether the secret is new.
    ///
    /// # Errors
    /// [`StoreError::TooMany`]; the file cannot be written.
    pub fn set(&self, name: &str, value: String) -> Result<bool, StoreError> {
        make_private(&self.folder)?;
        let path = self.path(name);
        let is_new = !path.exists();
        if is_new && entries(&self.folder)?.len() >= Self::MOST {
            return Err(StoreError::TooMany { limit: Self::MOST });
        }
        write_json(&path, &SecretFile { name: name.to_owned(), value, changed: now() })?;
        Ok(is_new)
    }

    /// The secrets, by their names.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<SecretInfo>, StoreError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for path in entries(&self.folder)? {
            match read_json::<SecretFile>(&path) {
                Ok(SecretFile { name, changed, .. }) => found.push(SecretInfo { name, changed }),
                // The words of the error could have a part of the file.
                Err(_) => tracing::warn!(path = %path.display(), "a secret cannot be read; set it again"),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The names of the secrets.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.list().unwrap_or_default().into_iter().map(|secret| secret.name).collect()
    }

    /// Removes a secret. Returns whether it was there.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", &path)(error)),
        }
    }

    /// The files of the secrets that a pipeline file names. A secret that is not here has none.
    #[must_use]
    pub fn named_in(&self, pipeline: &[u8]) -> BTreeMap<String, PathBuf> {
        let parsed = parse("pipeline.toml", pipeline);
        let named = parsed.pipeline.references().filter(|reference| reference.kind == ReferenceKind::Secret);
        let named = named.map(|reference| (reference.name.clone(), self.path(&reference.name)));
        named.filter(|(_, path)| path.exists()).collect()
    }

    /// No name of a user becomes a path.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.json", Digest::of(name.as_bytes()).hex()))
    }
}

/// The secrets that the pipeline in a file names.
pub(crate) fn named_in_file(secrets: &SecretStore, pipeline: &Path) -> BTreeMap<String, PathBuf> {
    secrets.named_in(&fs::read(pipeline).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_kept_for_its_tenant_and_for_the_user_of_the_server_alone() {
        let root = tempfile::tempdir().unwrap();
        let state = StateFolder::open(root.path()).unwrap();
        let owner = SecretStore::open(&state);
        let [blue, green] = ["blue", "green"].map(|name| owner.of(Some(&name.parse().unwrap())));
        assert!(blue.set("../key", "one".to_owned()).unwrap());
        assert!(!blue.set("../key", "two".to_owned()).unwrap());
        assert_eq!(blue.names(), BTreeSet::from(["../key".to_owned()]));
        assert_eq!((green.names().len(), owner.names().len()), (0, 0));
        let path = blue.path("../key");
        assert_eq!(path.parent(), Some(root.path().canonicalize().unwrap().join("tenants/blue/secrets").as_path()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_json::<SecretFile>(&path).unwrap().value, "two");
        let pipeline = "[[operator]]\nname='a'\ncomponent='a.wasm'\nconfig={a={secret='../key'},b={secret='none'}}";
        assert_eq!(blue.named_in(pipeline.as_bytes()), BTreeMap::from([("../key".to_owned(), path)]));
        assert_eq!((blue.remove("../key").unwrap(), blue.remove("../key").unwrap()), (true, false));
        for name in ["key", "A.b_c-1"] {
            assert_eq!(SecretStore::check_name(name), Ok(()));
        }
        for name in ["", ".", "../x", "a b", "é", &"x".repeat(64)] {
            assert!(SecretStore::check_name(name).is_err(), "{name}");
        }
    }
}
