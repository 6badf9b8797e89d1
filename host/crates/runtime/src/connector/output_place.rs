use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags, accessat, statx};
use rustix::thread::CapabilitySet;

use super::ConnectorError;
use super::identity::{Located, Nature, locate};
use super::partial_path::{partial_path, require_leftover};
use sage_text::plain_path;

/// The place where a file sink writes. The place is examined before any file is opened, so that obstacles to
/// the finished file's name are known early.
#[derive(Debug)]
pub(super) enum OutputPlace {
    /// A device, a pipe or a socket: written to directly.
    InPlace(PathBuf),
    /// A file that takes its name when it is complete.
    Replaced(Replaced),
}

/// A file that a finished output replaces, or that does not exist yet.
#[derive(Debug)]
pub(super) struct Replaced {
    /// Path without links.
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    /// Metadata of the present file, if there is one.
    pub(super) old: Option<Metadata>,
}

/// What happens to a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Another file takes its name.
    Replaced,
    /// It is written to.
    Appended,
}

/// The sticky bit. In a folder with it, only the owner of the file or of the folder may replace a file.
const STICKY: u32 = 0o1000;

impl OutputPlace {
    /// Examines a sink's path.
    ///
    /// # Errors
    /// Every obstacle to writing the output or to giving it its name. A retry helps only if the file system has
    /// changed.
    pub(super) fn examine(path: &Path) -> Result<Self, ConnectorError> {
        Self::examine_for(path, Use::Replaced)
    }

    /// Examines the path of a file to which a sink appends.
    ///
    /// # Errors
    /// As [`OutputPlace::examine`], without the obstacles to a new file under the name.
    pub(super) fn examine_to_append(path: &Path) -> Result<Self, ConnectorError> {
        Self::examine_for(path, Use::Appended)
    }

    fn examine_for(path: &Path, used: Use) -> Result<Self, ConnectorError> {
        let shown = plain_path(path);
        let located = locate(path).map_err(|error| no_place(path, error))?;
        match located.nature {
            Nature::Folder => Err(ConnectorError::new(format!("\"{shown}\" is a folder, the sink writes a file"))
                .hint(format!("name the file, for example \"{}\"", plain_path(&path.join("out.jsonl"))))),
            Nature::Pipe | Nature::Passing => Ok(Self::InPlace(located.path)),
            Nature::Kept => {
                let cannot = |cause| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause);
                let old = match fs::symlink_metadata(&located.path) {
                    Ok(metadata) => Some(metadata),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(cannot(error)),
                };
                if old.as_ref().is_some_and(|old| !old.is_file()) {
                    return Ok(Self::InPlace(located.path));
                }
                Replaced::examine(&shown, located, old, used).map(Self::Replaced)
            }
        }
    }
}

impl Replaced {
    fn examine(shown: &str, located: Located, old: Option<Metadata>, used: Use) -> Result<Self, ConnectorError> {
        let path = located.path;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let cannot = |cause: io::Error| ConnectorError::caused(format!("cannot write to \"{shown}\""), cause);
        let in_folder = |cause: rustix::io::Errno| {
            let what = format!("cannot make files in the folder \"{}\" of \"{shown}\"", plain_path(&folder));
            ConnectorError::caused(what, cause.into())
                .hint("an output is written beside its place, as PATH.partial, and renamed when it is whole")
        };
        accessat(CWD, &folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(in_folder)?;
        let folder_now = fs::metadata(&folder).map_err(cannot)?;
        if attributes(&folder).contains(StatxAttributes::APPEND) {
            return Err(ConnectorError::new(format!(
                "nothing in the folder \"{}\" of \"{shown}\" can be renamed: it is append-only",
                plain_path(&folder)
            ))
            .hint("write to another folder, or take the attribute away: chattr -a"));
        }
        if let Some(old) = old.as_ref().filter(|_| used == Use::Replaced) {
            require_replaceable(shown, &path, old, &folder_now)?;
        }
        match fs::symlink_metadata(partial_path(&path)) {
            Ok(leftover) => require_leftover(leftover.is_file(), &partial_path(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // The longer name may be too long even if the output's name is not.
            Err(error) => return Err(cannot(error)),
        }
        Ok(Self { path, folder, old })
    }
}

/// Checks that a file may be replaced by another one under its name, as far as this is known without trying.
fn require_replaceable(shown: &str, path: &Path, old: &Metadata, folder: &Metadata) -> Result<(), ConnectorError> {
    let attributes = attributes(path);
    if attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(ConnectorError::new(format!(
            "\"{shown}\" is mounted by itself, and no other file can take its place"
        ))
        .hint("mount its folder instead of the file, or write to another path"));
    }
    if attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        return Err(ConnectorError::new(format!("\"{shown}\" cannot be replaced: it is immutable or append-only"))
            .hint("write to another path, or take the attribute away: chattr -ia"));
    }
    let me = rustix::process::geteuid().as_raw();
    if folder.mode() & STICKY != 0 && old.uid() != me && folder.uid() != me && !may_act_for_owners() {
        return Err(ConnectorError::new(format!(
            "\"{shown}\" belongs to user {}, and in its folder only the owner of a file replaces it",
            old.uid()
        ))
        .hint("write to another folder, or let the file's owner run this"));
    }
    if old.nlink() > 1 {
        return Err(ConnectorError::new(format!(
            "\"{shown}\" has {} hard links, and a new file would take the place of this one alone",
            old.nlink()
        ))
        .hint("remove the file first if the other names are to keep what it holds, or write to another path"));
    }
    Ok(())
}

/// Attributes of a path besides its mode; empty if the file system does not report them.
fn attributes(path: &Path) -> StatxAttributes {
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .map_or(StatxAttributes::empty(), |found| found.stx_attributes & found.stx_attributes_mask)
}

fn may_act_for_owners() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::FOWNER))
}

/// The error for a path that does not lead to a place where a file could be created.
fn no_place(path: &Path, error: io::Error) -> ConnectorError {
    let shown = plain_path(path);
    if error.kind() != io::ErrorKind::NotFound {
        return ConnectorError::caused(format!("cannot write to \"{shown}\""), error);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.exists() {
        let target = fs::read_link(path).unwrap_or_default();
        return ConnectorError::new(format!(
            "\"{shown}\" is a link to \"{}\", whose folder does not exist",
            plain_path(&target)
        ))
        .hint("make the folder first");
    }
    ConnectorError::new(format!("the folder \"{}\" of \"{shown}\" does not exist", plain_path(parent)))
        .hint("make it first")
}
