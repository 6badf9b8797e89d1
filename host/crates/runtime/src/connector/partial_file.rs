use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid, XattrFlags, fchmod, fchown, flock, fremovexattr,
    fsetxattr, getxattr, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::ConnectorError;
use super::identity::FileId;
use super::output_place::{Replaced, require_leftover};
use super::path_guard::PathGuard;
use sage_text::plain_path;

/// An output that is not whole yet: `PATH.partial`, beside the file that it will replace.
///
/// It is always a new file, made with the rights of the one it replaces before a byte is in it: nobody who may not read the old one can read the new one at
/// any time, and what an earlier run left under the name is removed, not written over. One run has it, by a lock on the file; all names are looked up in
/// the folder that was opened first, wherever that folder is by then.
#[derive(Debug)]
pub(super) struct PartialFile {
    folder: File,
    /// Whether the folder was opened for reading, so that it can be made durable by itself.
    folder_syncs: bool,
    partial: OsString,
    name: OsString,
    id: FileId,
    /// What errors call them.
    shown: String,
    guard: Arc<PathGuard>,
}

/// Where an output is until it is whole.
pub(super) fn partial_path(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

/// Under which a file's access control list lies, beyond its mode.
const ACCESS_LIST: &str = "system.posix_acl_access";
/// How often the name is tried when others make and remove it at the same time.
const ATTEMPTS: usize = 100;

impl PartialFile {
    /// Makes it, for this run alone.
    ///
    /// # Errors
    /// Another run has it; it cannot be made; what is under its name is no leftover of a run.
    pub(super) fn create(place: &Replaced, guard: Arc<PathGuard>) -> Result<(Self, File), ConnectorError> {
        let name = place.path.file_name().unwrap_or_default().to_owned();
        let partial = partial_path(Path::new(&name)).into_os_string();
        let shown = plain_path(&place.folder.join(&partial));
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause);
        let (folder, folder_syncs) = open_folder(&place.folder).map_err(cannot)?;
        for _ in 0..ATTEMPTS {
            let Some(file) = new_file(&folder, &partial, place).map_err(cannot)? else {
                remove_leftover(&folder, &partial, &shown)?;
                continue;
            };
            require_lock(&file, &shown)?;
            let id = FileId::of_open(&file).map_err(cannot)?;
            // Another run may have taken it for a leftover in the moment before it was locked.
            if id_under(&folder, &partial).map_err(cannot)? != Some(id) {
                continue;
            }
            return Ok((Self { folder, folder_syncs, partial, name, id, shown, guard }, file));
        }
        Err(ConnectorError::new(format!("\"{shown}\" is made and removed by others all the time")))
    }

    /// Gives the file, whose bytes are durable, its name: after a power cut the name is that of the old file or of the whole new one.
    ///
    /// # Errors
    /// The file under `PATH.partial` is no longer this one; the name belongs to something that the run reads by now; the file system refuses.
    pub(super) fn take_name(&self, file: &File) -> Result<(), ConnectorError> {
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot finish \"{}\"", self.shown), cause);
        match id_under(&self.folder, &self.partial).map_err(cannot)? {
            Some(id) if id == self.id => {}
            now => {
                let how = if now.is_some() { "replaced" } else { "removed" };
                return Err(ConnectorError::new(format!(
                    "\"{}\" was {how} by somebody while this run wrote it: its records are lost",
                    self.shown
                ))
                .hint("run it again, with nothing else writing or cleaning up in that folder"));
            }
        }
        if let Some(id) = id_under(&self.folder, &self.name).map_err(cannot)? {
            self.guard.require_not_read(id, &self.shown)?;
        }
        renameat(&self.folder, &self.partial, &self.folder, &self.name).map_err(|error| cannot(error.into()))?;
        if self.folder_syncs {
            self.folder.sync_all().map_err(cannot)
        } else {
            rustix::fs::syncfs(file).map_err(|error| cannot(error.into()))
        }
    }
}

/// A folder, for reading if that is allowed: one that only takes files cannot be made durable by itself.
fn open_folder(path: &Path) -> io::Result<(File, bool)> {
    let open = |flags: OFlags| {
        let flags = (OFlags::DIRECTORY | flags).bits() as i32;
        File::options().read(true).custom_flags(flags).open(path)
    };
    match open(OFlags::empty()) {
        Ok(folder) => Ok((folder, true)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok((open(OFlags::PATH)?, false)),
        Err(error) => Err(error),
    }
}

/// A file that was not there before, with the rights it keeps; `None` if something has its name.
fn new_file(folder: &File, partial: &OsString, place: &Replaced) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // One that replaces nothing gets what the process gives every new file; others are nobody's until they have the old one's rights.
    let mode = if place.old.is_some() { Mode::RUSR | Mode::WUSR } else { Mode::from_raw_mode(0o666) };
    let file = match openat(folder, partial, flags, mode) {
        Ok(file) => File::from(file),
        Err(Errno::EXIST) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if let Some(old) = &place.old {
        keep_rights(&file, old, &place.path)?;
    }
    Ok(Some(file))
}

/// Gives a new file the owner, group, mode and access list of the one it will replace, as far as the process may; where it may not, the new file
/// is open to fewer, never to more.
fn keep_rights(file: &File, old: &Metadata, path: &Path) -> io::Result<()> {
    let new = file.metadata()?;
    let owner = new.uid() == old.uid() || fchown(file, Some(Uid::from_raw(old.uid())), None).is_ok();
    let group = new.gid() == old.gid() || fchown(file, None, Some(Gid::from_raw(old.gid()))).is_ok();
    if !(owner && group) {
        tracing::warn!(
            "{} will belong to user {} and group {}: this process may not give it to user {} and group {}",
            plain_path(path),
            file.metadata()?.uid(),
            file.metadata()?.gid(),
            old.uid(),
            old.gid()
        );
    }
    // What the folder hands down to new files would count too as soon as the mode lets it.
    match fremovexattr(file, ACCESS_LIST) {
        Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
        Err(error) => return Err(error.into()),
    }
    let mut mode = old.mode() & 0o7777;
    if !(owner && group) {
        mode &= 0o777;
    }
    if !group {
        mode = narrowed(mode);
    }
    fchmod(file, Mode::from_raw_mode(mode))?;
    let Some(list) = access_list(path)? else { return Ok(()) };
    if group && fsetxattr(file, ACCESS_LIST, &list, XattrFlags::empty()).is_ok() {
        return Ok(());
    }
    // With a list the mode's group bits say what the most of its entries may, not what the group may.
    Ok(fchmod(file, Mode::from_raw_mode(mode & !0o070))?)
}

/// A mode whose group, another one than before, may do what all others may and no more than the group could.
fn narrowed(mode: u32) -> u32 {
    (mode & !0o070) | (mode & 0o070 & ((mode & 0o007) << 3))
}

fn access_list(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // The largest value that the kernel keeps.
    let mut list = vec![0; 64 << 10];
    match getxattr(path, ACCESS_LIST, list.as_mut_slice()) {
        Ok(length) => {
            list.truncate(length);
            Ok(Some(list))
        }
        Err(Errno::NODATA | Errno::NOTSUP | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes what an earlier run has left under the name, unless a run has it still.
fn remove_leftover(folder: &File, partial: &OsString, shown: &str) -> Result<(), ConnectorError> {
    let cannot = |cause: Errno| ConnectorError::caused(format!("cannot remove the leftover \"{shown}\""), cause.into());
    let found = match statat(folder, partial, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(cannot(error)),
    };
    let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    require_leftover(is_file, Path::new(shown))?;
    let open = |access: OFlags| {
        openat(folder, partial, access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
    };
    // A lock needs no more than an open file.
    let held = match open(OFlags::WRONLY).or_else(|_| open(OFlags::RDONLY)) {
        Ok(held) => File::from(held),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(cannot(error)),
    };
    require_lock(&held, shown)?;
    let id =
        FileId::of_open(&held).map_err(|error| ConnectorError::caused(format!("cannot look at \"{shown}\""), error))?;
    match id_under(folder, partial) {
        // Locked and still there: nobody else takes it for theirs.
        Ok(Some(now)) if now == id => unlinkat(folder, partial, AtFlags::empty()).or_else(gone).map_err(cannot),
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectorError::caused(format!("cannot look at \"{shown}\""), error)),
    }
}

fn gone(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}

/// Two runs that write the same file would mix their records.
fn require_lock(file: &File, shown: &str) -> Result<(), ConnectorError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Some file systems have no locks; there the check is not to be had.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(ConnectorError::new(format!("another run is writing \"{shown}\""))
            .hint("wait for it, or give this sink another path")),
        Err(error) => Err(ConnectorError::caused(format!("cannot write to \"{shown}\""), error.into())),
    }
}

/// What lies under a name in a folder, links not followed.
fn id_under(folder: &File, name: &OsString) -> io::Result<Option<FileId>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileId::of_stat(&found))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::output_place::OutputPlace;

    #[test]
    fn a_mode_is_narrowed_for_another_group_and_never_widened() {
        for (mode, expected) in [(0o640, 0o600), (0o644, 0o644), (0o664, 0o644), (0o606, 0o606), (0o755, 0o755)] {
            assert_eq!(narrowed(mode), expected, "{mode:o}");
        }
    }

    /// An access list as the kernel keeps it: the owner may read and write, user 12345 may read, the group and others nothing.
    fn list() -> Vec<u8> {
        let entries: [(u16, u16, u32); 5] =
            [(1, 6, u32::MAX), (2, 4, 12345), (4, 0, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
        let mut list = 2u32.to_le_bytes().to_vec();
        for (tag, may, who) in entries {
            list.extend_from_slice(&tag.to_le_bytes());
            list.extend_from_slice(&may.to_le_bytes());
            list.extend_from_slice(&who.to_le_bytes());
        }
        list
    }

    #[test]
    fn an_access_list_is_kept_and_none_is_taken_over_from_the_folder() {
        for (has_list, attribute) in [(true, ACCESS_LIST), (false, "system.posix_acl_default")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out");
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
            let of = if has_list { path.as_path() } else { folder.path() };
            if let Err(error) = rustix::fs::setxattr(of, attribute, &list(), XattrFlags::empty()) {
                println!("skipped: no access lists here: {error}");
                return;
            }
            let OutputPlace::Replaced(place) = OutputPlace::examine(&path).unwrap() else { panic!("a regular file") };
            let (partial, file) = PartialFile::create(&place, Arc::default()).unwrap();
            assert_eq!(access_list(&folder.path().join("out.partial")).unwrap(), has_list.then(list));
            partial.take_name(&file).unwrap();
            assert_eq!(access_list(&path).unwrap(), has_list.then(list));
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        }
    }
}
