use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid, XattrFlags, fchmod, fchown, flock, fremovexattr,
    fsetxattr, getxattr, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::ConnectorError;
use super::identity::FileId;
use super::output_place::Replaced;
use super::partial_path::{partial_path, require_leftover};
use super::path_guard::PathGuard;
use super::saved_output::SavedOutput;
use sage_text::plain_path;

/// An output that is not complete yet: `PATH.partial`, beside the file that it will replace.
///
/// The file is always new, and has the permissions of the file that it replaces before its first byte. A user
/// without access to the old file can therefore never read the new one. A leftover of an earlier run is
/// removed, not overwritten. A lock on the file ensures that only one run has it. All names are looked up in
/// the folder that was opened first, even if that folder is moved.
#[derive(Debug)]
pub(super) struct PartialFile {
    folder: File,
    /// Whether the folder was opened for reading, so that the folder itself can be made durable.
    folder_syncs: bool,
    partial: OsString,
    name: OsString,
    id: FileId,
    /// Path in errors.
    shown: String,
    guard: Arc<PathGuard>,
}

/// Name of the extended attribute with a file's access control list, which extends its mode.
const ACCESS_LIST: &str = "system.posix_acl_access";
/// Number of attempts at the name, if other processes create and remove it at the same time.
const ATTEMPTS: usize = 100;

impl PartialFile {
    /// Creates the file, for this run alone.
    ///
    /// # Errors
    /// Another run has the file, the file cannot be created, or the name belongs to something that is no
    /// leftover of a run.
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
            // Another run may have taken the file for a leftover just before it was locked.
            if id_under(&folder, &partial).map_err(cannot)? != Some(id) {
                continue;
            }
            return Ok((Self { folder, folder_syncs, partial, name, id, shown, guard }, file));
        }
        Err(ConnectorError::new(format!("\"{shown}\" is made and removed by others all the time")))
    }

    /// Goes on with the file of an earlier run, behind the bytes that it saved. If that run gave the file its name in
    /// the meantime, the file gives it back.
    ///
    /// # Errors
    /// The file is gone, another run has it, or it is shorter than it was.
    pub(super) fn go_on(
        place: &Replaced,
        guard: Arc<PathGuard>,
        saved: SavedOutput,
    ) -> Result<(Self, File), ConnectorError> {
        let name = place.path.file_name().unwrap_or_default().to_owned();
        let partial = partial_path(Path::new(&name)).into_os_string();
        let shown = plain_path(&place.folder.join(&partial));
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot go on with \"{shown}\""), cause);
        let (folder, folder_syncs) = open_folder(&place.folder).map_err(cannot)?;
        let is_saved = |name: &OsString| Ok::<_, io::Error>(id_under(&folder, name)? == Some(saved.id));
        if !is_saved(&partial).map_err(cannot)? {
            if !is_saved(&name).map_err(cannot)? {
                let what = format!("\"{shown}\" is gone, which has the records of the run to go on with");
                return Err(ConnectorError::new(what).hint("put the file back, or start anew: --from none"));
            }
            renameat(&folder, &name, &folder, &partial).map_err(|error| cannot(error.into()))?;
        }
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, &partial, flags, Mode::empty()).map_err(|error| cannot(error.into()))?;
        let mut file = File::from(file);
        require_lock(&file, &shown)?;
        let id = FileId::of_open(&file).map_err(cannot)?;
        let bytes = file.metadata().map_err(cannot)?.len();
        if id != saved.id || bytes < saved.bytes {
            let what = format!("\"{shown}\" has {bytes} bytes, and had {} at the last epoch", saved.bytes);
            return Err(ConnectorError::new(what).hint("restore the file, or start anew: --from none"));
        }
        file.set_len(saved.bytes).map_err(cannot)?;
        file.seek(SeekFrom::Start(saved.bytes)).map_err(cannot)?;
        Ok((Self { folder, folder_syncs, partial, name, id, shown, guard }, file))
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// The path in errors.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Removes the file, if it still has its name.
    pub(super) fn remove(&self) {
        if id_under(&self.folder, &self.partial).is_ok_and(|found| found == Some(self.id)) {
            // A leftover does no harm: the next run removes it.
            let _ = unlinkat(&self.folder, &self.partial, AtFlags::empty());
        }
    }

    /// Gives the file its name; its bytes must be durable. After a power cut, the name belongs to the old file
    /// or to the complete new one.
    ///
    /// # Errors
    /// `PATH.partial` is no longer this file, the name now belongs to a file that the run reads, or the file
    /// system refuses.
    pub(super) fn take_name(&self, file: &File) -> Result<(), ConnectorError> {
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot finish \"{}\"", self.shown), cause);
        match id_under(&self.folder, &self.partial).map_err(cannot)? {
            Some(id) if id == self.id => {}
            now => {
                let how = if now.is_some() { "replaced" } else { "removed" };
                return Err(ConnectorError::new(format!(
                    "\"{}\" was {how} by another program while this run wrote it: its records are lost",
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

/// Opens a folder, for reading if that is allowed. A folder without read permission cannot itself be made
/// durable.
pub(super) fn open_folder(path: &Path) -> io::Result<(File, bool)> {
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

/// Creates a new file with its final permissions; `None` if the name is in use.
pub(super) fn new_file(folder: &File, partial: &OsString, place: &Replaced) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A file that replaces nothing gets the default mode of new files. Another file is private until it has the
    // permissions of the old one.
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

/// Gives a new file the owner, group, mode and access list of the file that it will replace, as far as the
/// process may. Otherwise fewer users may access the new file, never more.
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
    // An access list inherited from the folder would take effect as soon as the mode allows it.
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
    // With an access list, the group bits of the mode are the upper limit of the list's entries, not the
    // permissions of the group.
    Ok(fchmod(file, Mode::from_raw_mode(mode & !0o070))?)
}

/// A mode for a different group: the group may do only what all other users may do and what the old group could
/// do.
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

/// Removes the leftover of an earlier run under the name, unless a run still has it.
pub(super) fn remove_leftover(folder: &File, partial: &OsString, shown: &str) -> Result<(), ConnectorError> {
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
    // A lock needs only an open file.
    let held = match open(OFlags::WRONLY).or_else(|_| open(OFlags::RDONLY)) {
        Ok(held) => File::from(held),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(cannot(error)),
    };
    require_lock(&held, shown)?;
    let id =
        FileId::of_open(&held).map_err(|error| ConnectorError::caused(format!("cannot look at \"{shown}\""), error))?;
    match id_under(folder, partial) {
        // The file is locked and still has the name, so no other run takes it.
        Ok(Some(now)) if now == id => unlinkat(folder, partial, AtFlags::empty()).or_else(gone).map_err(cannot),
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectorError::caused(format!("cannot look at \"{shown}\""), error)),
    }
}

fn gone(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}

/// Locks the file. Two runs that write the same file would mix their records.
pub(super) fn require_lock(file: &File, shown: &str) -> Result<(), ConnectorError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Some file systems have no locks; the check is skipped there.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(ConnectorError::new(format!("another run is writing \"{shown}\""))
            .hint("wait for it, or give this sink another path")),
        Err(error) => Err(ConnectorError::caused(format!("cannot write to \"{shown}\""), error.into())),
    }
}

/// The identity of the file under a name in a folder, without following links.
pub(super) fn id_under(folder: &File, name: &OsString) -> io::Result<Option<FileId>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileId::of_stat(&found))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use sage_test_support::{Need, skip};

    use super::*;
    use crate::connector::output_place::OutputPlace;

    #[test]
    fn a_mode_is_narrowed_for_another_group_and_never_widened() {
        for (mode, expected) in [(0o640, 0o600), (0o644, 0o644), (0o664, 0o644), (0o606, 0o606), (0o755, 0o755)] {
            assert_eq!(narrowed(mode), expected, "{mode:o}");
        }
    }

    /// An access list in the kernel's format: the owner may read and write, user 12345 may read, the group and
    /// others nothing.
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
                return skip(Need::AccessLists, error);
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
