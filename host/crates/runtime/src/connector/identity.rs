use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf, absolute};

use serde::{Deserialize, Serialize};

/// Identity of a file in the kernel: its device and its inode. Hard links, symbolic links and bind mounts of
/// one file share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The identity of an open file.
    pub(super) fn of_open(file: impl AsFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self::of_stat(&stat))
    }

    /// Whether both have one inode, perhaps on different devices.
    pub(super) fn same_inode(self, other: Self) -> bool {
        self.inode == other.inode
    }

    /// Whether the open file is this one.
    pub(super) fn is(self, file: impl AsFd) -> bool {
        Self::of_open(file).is_ok_and(|id| id == self)
    }

    pub(super) fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// Identity of a file, whether it exists or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// The file exists.
    There(FileId),
    /// The file does not exist, and would be created under this name in this folder.
    NotThere { folder: FileId, name: OsString },
}

/// How a file treats its content, which decides whether two users of the file endanger each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Bytes stay: a regular file, a disk, a file that does not exist yet.
    Kept,
    /// A pipe passes bytes on: a process that writes to a pipe that it also reads feeds itself.
    Pipe,
    /// A terminal, `/dev/null` or a socket: reading and writing are independent.
    Passing,
    /// A folder.
    Folder,
}

/// The file to which a path leads.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) identity: Identity,
    pub(super) nature: Nature,
    /// Absolute path without links, as far as the file system tells.
    pub(super) path: PathBuf,
    /// Absolute path without `.` and `..`, as if no part of it were a link.
    pub(super) spelled: PathBuf,
}

/// Longest chain of links, the same as in the kernel.
const MOST_LINKS: usize = 40;

/// Finds out where a path leads, with every link resolved. A dangling link leads to the place where its file
/// would be created.
///
/// # Errors
/// The file's folder does not exist or may not be entered, or links form a cycle.
pub(super) fn locate(path: &Path) -> io::Result<Located> {
    let spelled = plainly(&absolute(path)?);
    let mut at = absolute(path)?;
    for _ in 0..MOST_LINKS {
        match fs::metadata(&at) {
            Ok(metadata) => {
                let identity = Identity::There(FileId::of(&metadata));
                // A file without a path, such as a pipe behind `/dev/stdout`, keeps the path under which it was
                // found.
                let path = fs::canonicalize(&at).unwrap_or(at);
                return Ok(Located { identity, nature: nature_of(&metadata), path, spelled });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (Some(folder), Some(name)) = (at.parent(), at.file_name()) else { return Err(not_found()) };
        let folder = fs::canonicalize(folder)?;
        let file = folder.join(name);
        match fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&file)?;
                if target.as_os_str().as_bytes().ends_with(b"/") {
                    return Err(io::Error::from_raw_os_error(libc::EISDIR));
                }
                at = folder.join(target);
            }
            // The file was created just now: look again.
            Ok(_) => at = file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity =
                    Identity::NotThere { folder: FileId::of(&fs::metadata(&folder)?), name: name.to_owned() };
                return Ok(Located { identity, nature: Nature::Kept, path: file, spelled });
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// The nature of a file according to its metadata.
pub(super) fn nature_of(metadata: &Metadata) -> Nature {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Nature::Folder
    } else if kind.is_fifo() {
        Nature::Pipe
    } else if kind.is_char_device() || kind.is_socket() {
        Nature::Passing
    } else {
        Nature::Kept
    }
}

/// An absolute path without `.` and `..`, resolved by text alone, without regard to links.
pub(super) fn plainly(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_the_same_under_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::write(root.join("d/f"), "").unwrap();
        fs::hard_link(root.join("d/f"), root.join("hard")).unwrap();
        symlink("d", root.join("l")).unwrap();
        symlink("l/f", root.join("to-f")).unwrap();
        symlink("l/new", root.join("to-new")).unwrap();
        symlink("to-new", root.join("to-to-new")).unwrap();
        let of = |name: &str| locate(&root.join(name)).unwrap();
        for name in ["d/./f", "d/e/../f", "l/f", "to-f", "hard"] {
            assert_eq!(of(name).identity, of("d/f").identity, "{name}");
        }
        for name in ["d/e/../new", "l/new", "to-new", "to-to-new"] {
            assert_eq!(of(name).identity, of("d/new").identity, "{name}");
            assert_eq!(of(name).path, root.join("d/new"), "{name}");
        }
        assert_ne!(of("d/new").identity, of("new").identity);
        assert_eq!(of("d/e/../f").spelled, root.join("d/f"));
    }

    #[test]
    fn what_leads_nowhere_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        for (name, target) in [("a", "b"), ("b", "a"), ("none", "no/file"), ("folder", "new/")] {
            symlink(target, at(name)).unwrap();
        }
        for (name, kind) in [
            ("no/file", io::ErrorKind::NotFound),
            ("none", io::ErrorKind::NotFound),
            ("file/below", io::ErrorKind::NotADirectory),
            ("folder", io::ErrorKind::IsADirectory),
        ] {
            assert_eq!(locate(&at(name)).unwrap_err().kind(), kind, "{name}");
        }
        assert_eq!(locate(&at("a")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
