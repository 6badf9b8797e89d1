use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::identity::FileId;
use super::line_reader::LinePosition;

/// The place of a source in a file that it follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FollowedPosition {
    pub(super) id: FileId,
    pub(super) print: Fingerprint,
    /// The bytes of the path under which the file was found last.
    path: Vec<u8>,
    pub(super) at: LinePosition,
    /// Whether the rest of the file could not be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) given_up: bool,
}

impl FollowedPosition {
    pub(super) fn new(id: FileId, print: Fingerprint, path: &Path, at: LinePosition, given_up: bool) -> Self {
        Self { id, print, path: path.as_os_str().as_bytes().to_vec(), at, given_up }
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(std::ffi::OsString::from_vec(self.path.clone()))
    }

    /// Whether this file is the saved one, and has all bytes that were read of it.
    pub(super) fn is(&self, file: &fs::File, path: &Path, id: FileId) -> io::Result<bool> {
        // A device may have another number after a restart of the machine.
        let same = id == self.id || (id.same_inode(self.id) && path == self.path() && self.print.bytes > 0);
        if !same {
            return Ok(false);
        }
        Ok(file.metadata()?.len() >= self.at.bytes && self.print.fits(file)?)
    }

    /// The file under another name in its folder, as a rotation leaves it.
    pub(super) fn renamed(&self) -> Option<(PathBuf, FileId)> {
        let path = self.path();
        let folder = path.parent()?;
        let entries = fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).ok()?;
        let named = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let metadata = fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
            Some((path, FileId::of(&metadata)))
        });
        let is = |path: &Path, id| self.is(&fs::File::open(path)?, path, id);
        named.into_iter().find(|(path, id)| *id == self.id && is(path, *id).unwrap_or(false))
    }
}
