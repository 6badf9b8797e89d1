use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::cache_entry::peek;
use super::load_error::LoadError;

/// A folder of compiled components. Each component has a file (`.cwasm`), whose time of modification is the time of
/// its last use. Other files are not touched.
///
/// The folder holds native code that will run. Therefore the folder is used only if its owner is this user or
/// root, and no other user may write to it.
#[derive(Debug, Clone)]
pub struct CacheFolder {
    folder: PathBuf,
}

/// A compiled component in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedComponent {
    /// The digest of the component and that of the engine, as in the names of the files.
    pub key: String,
    /// The component's file when it was compiled; `None` if the cached file does not say.
    pub from: Option<PathBuf>,
    /// Total bytes of the component's files in the cache.
    pub bytes: u64,
    /// Time of the last compilation or load.
    pub last_used: SystemTime,
}

/// Number of builds that are kept of one component file: enough to go back and forth between branches.
const BUILDS: usize = 4;
/// Age at which an unfinished file counts as abandoned by its writer.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
/// Prefix of the name of a file that is being written.
const WRITING: &str = ".writing-";

impl CacheFolder {
    /// Opens the folder. A missing folder is created with mode 0700.
    ///
    /// # Errors
    /// [`LoadError::Cache`]: the path cannot be created or examined, is not a folder, or belongs to another
    /// user, or other users may write to it.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        if !folder.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| unusable(folder, &e))?;
        }
        Self::checked(folder)
    }

    /// Opens the folder if it exists.
    ///
    /// # Errors
    /// As [`CacheFolder::open`].
    pub fn find(folder: &Path) -> Result<Option<Self>, LoadError> {
        match fs::symlink_metadata(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Self::checked(folder).map(Some),
        }
    }

    fn checked(folder: &Path) -> Result<Self, LoadError> {
        let found = fs::symlink_metadata(folder).map_err(|e| unusable(folder, &e))?;
        let me = rustix::process::geteuid().as_raw();
        if !found.is_dir() {
            return Err(unusable(folder, &"it is not a folder"));
        }
        if found.uid() != me && found.uid() != 0 {
            return Err(unusable(folder, &format!("it belongs to user {}, not to {me}", found.uid())));
        }
        if found.mode() & 0o022 != 0 {
            return Err(unusable(folder, &format!("others may write to it (mode {:o})", found.mode() & 0o777)));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The components in the cache, the most recently used one first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn components(&self) -> io::Result<Vec<CachedComponent>> {
        let mut found: BTreeMap<String, CachedComponent> = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let Some((key, is_code)) = entry.file_name().to_str().and_then(key_of) else { continue };
            // Another process may have removed the file in the meantime.
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let component = found.entry(key.clone()).or_insert_with(|| CachedComponent {
                key,
                from: None,
                bytes: 0,
                last_used: SystemTime::UNIX_EPOCH,
            });
            component.bytes = component.bytes.saturating_add(metadata.len());
            component.last_used = component.last_used.max(used);
            if is_code {
                component.from = from(&entry.path());
            }
        }
        let mut components: Vec<_> = found.into_values().collect();
        components.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.key.cmp(&b.key)));
        Ok(components)
    }

    /// Removes every component and returns the removed components. A run that loads a component at the same
    /// time compiles it again.
    ///
    /// # Errors
    /// The folder cannot be read, or a file cannot be removed.
    pub fn clear(&self) -> io::Result<Vec<CachedComponent>> {
        let components = self.components()?;
        components.iter().try_for_each(|component| self.remove(component))?;
        self.sweep(Duration::ZERO);
        Ok(components)
    }

    /// Writes a file completely or not at all. The content is on the disk before the file has its name, and the
    /// name is on the disk before this function returns.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(WRITING).tempfile_in(&self.folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name)).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes the least recently used components until at most `most` bytes, and at most [`BUILDS`] builds of
    /// each component file, are left. The component with the key `newest` counts as used just now.
    pub(super) fn trim(&self, most: u64, newest: &str) -> io::Result<()> {
        let mut components = self.components()?;
        if let Some(at) = components.iter().position(|component| component.key == newest) {
            let newest = components.remove(at);
            components.insert(0, newest);
        }
        let mut bytes = 0_u64;
        let mut builds: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for component in &components {
            bytes = bytes.saturating_add(component.bytes);
            let builds = component.from.clone().map_or(0, |from| {
                let builds = builds.entry(from).or_default();
                *builds += 1;
                *builds
            });
            if bytes > most || builds > BUILDS {
                self.remove(component)?;
                bytes = bytes.saturating_sub(component.bytes);
            }
        }
        self.sweep(ABANDONED);
        Ok(())
    }

    /// Notes that a file was used. If the time cannot be set, the file only looks older than it is.
    pub(super) fn used(file: &File) {
        let _ = file.set_modified(SystemTime::now());
    }

    fn remove(&self, component: &CachedComponent) -> io::Result<()> {
        for extension in EXTENSIONS {
            match fs::remove_file(self.folder.join(format!("{}.{extension}", component.key))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the unfinished files of writers that died: those that are at least `age` old.
    fn sweep(&self, age: Duration) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(WRITING));
            let since = |entry: &fs::DirEntry| entry.metadata().ok()?.modified().ok()?.elapsed().ok();
            if is_ours && since(&entry).is_some_and(|since| since >= age) {
                // If this fails, the next trim tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The file extension of a compiled component.
pub(super) const CODE: &str = "cwasm";
/// All extensions. Earlier versions wrote side outputs and descriptions into files of their own.
const EXTENSIONS: [&str; 3] = [CODE, "ports", "description"];

/// The `<digest>-<engine>` part of a file name, and whether the file is code.
fn key_of(name: &str) -> Option<(String, bool)> {
    let (key, extension) = name.rsplit_once('.')?;
    let (digest, engine) = key.split_once('-')?;
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex(digest, 64) && hex(engine, 16) && EXTENSIONS.contains(&extension)).then(|| (key.to_owned(), extension == CODE))
}

fn from(path: &Path) -> Option<PathBuf> {
    peek(BufReader::new(File::open(path).ok()?)).ok().map(|header| PathBuf::from(header.from))
}

fn unusable(folder: &Path, reason: &dyn std::fmt::Display) -> LoadError {
    LoadError::Cache { folder: folder.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::cache_entry::{EntryHeader, encode};
    use super::*;

    /// Caches an invented component of `bytes` bytes, last used at `second` seconds after the epoch.
    fn keep(folder: &CacheFolder, number: u8, from: &str, bytes: usize, second: u64) -> String {
        let key = format!("{number:064x}-{:016x}", 7);
        let name = format!("{key}.cwasm");
        let header = EntryHeader { from: from.to_owned() };
        let empty = encode(&name, &header, b"", b"").unwrap().len();
        folder.write(&name, &encode(&name, &header, b"", &vec![0; bytes - empty]).unwrap()).unwrap();
        let file = File::options().write(true).open(folder.path().join(&name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        key
    }

    fn kept(folder: &CacheFolder) -> Vec<(PathBuf, u64)> {
        folder.components().unwrap().into_iter().map(|found| (found.from.unwrap(), found.bytes)).collect()
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_newest_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = CacheFolder::open(&place.path().join("cache")).unwrap();
        for (number, name, second) in [(1, "/a", 30), (2, "/b", 10), (3, "/c", 20)] {
            keep(&folder, number, name, 1000, second);
        }
        let newest = keep(&folder, 4, "/d", 1000, 0);
        fs::write(folder.path().join("mine.txt"), vec![0; 5000]).unwrap();
        folder.trim(3000, &newest).unwrap();
        assert_eq!(kept(&folder), [("/a".into(), 1000), ("/c".into(), 1000), ("/d".into(), 1000)]);
        // A component that is larger than the limit is not kept either.
        folder.trim(999, &newest).unwrap();
        assert_eq!(kept(&folder), []);
        assert!(folder.path().join("mine.txt").exists(), "other files are left alone");
    }

    #[test]
    fn of_one_component_file_a_few_builds_are_kept_and_of_others_all() {
        let place = tempfile::tempdir().unwrap();
        let folder = CacheFolder::open(&place.path().join("cache")).unwrap();
        keep(&folder, 100, "/other", 500, 1);
        for build in 1..=12 {
            let newest = keep(&folder, build, "/op.wasm", 500, u64::from(build) + 1);
            folder.trim(u64::MAX, &newest).unwrap();
        }
        let kept = kept(&folder);
        assert_eq!(kept.iter().filter(|(from, _)| from == Path::new("/op.wasm")).count(), BUILDS);
        assert_eq!(kept.len(), BUILDS + 1);
    }

    #[test]
    fn clearing_removes_everything_that_is_kept_and_what_dead_writers_left() {
        let place = tempfile::tempdir().unwrap();
        let folder = CacheFolder::open(&place.path().join("cache")).unwrap();
        keep(&folder, 1, "/a", 700, 1);
        fs::write(folder.path().join(".writing-x"), "half").unwrap();
        fs::write(folder.path().join("mine.txt"), "").unwrap();
        assert_eq!(folder.clear().unwrap().len(), 1);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }

    #[test]
    fn a_folder_that_others_may_write_to_or_that_is_none_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let open = place.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let error = CacheFolder::open(&open).unwrap_err().to_string();
        assert!(error.ends_with("others may write to it (mode 777)"), "{error}");
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(CacheFolder::open(&file).unwrap_err().to_string().ends_with("it is not a folder"));
        assert!(CacheFolder::open(&file.join("below")).is_err());
        assert!(CacheFolder::find(&place.path().join("nowhere")).unwrap().is_none());
    }
}
