use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf, absolute};

/// A file as the kernel tells it from others: its device and its inode. Hard links, links and bind mounts of one file have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Of what is open.
    pub(super) fn of_open(file: impl AsFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self::of_stat(&stat))
    }

    pub(super) fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// What tells a file from all others, whether it is there or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// It is there.
    There(FileId),
    /// It is not, and would be made under this name in this folder.
    NotThere { folder: FileId, name: OsString },
}

/// How much of a file's content outlives the moment: what makes two users of it a danger to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Bytes stay: a regular file, a disk, a file that is not there yet.
    Kept,
    /// A pipe hands bytes on: whoever writes to one that it reads feeds itself.
    Pipe,
    /// A terminal, `/dev/null`, a socket: two ways that have nothing to do with each other, or none.
    Passing,
    /// A folder.
    Folder,
}

/// Where a path leads.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) identity: Identity,
    pub(super) nature: Nature,
    /// Absolute and without links, as far as the file system tells.
    pub(super) path: PathBuf,
    /// Where the path leads if no part of it were a link.
    pub(super) spelled: PathBuf,
}

/// As many links in a row as the kernel follows.
const MOST_LINKS: usize = 40;

/// Finds out where a path leads: every link resolved, one that leads nowhere yet to where its file would be made.
///
/// # Errors
/// The file's folder is not there or may not be entered; links that lead in a circle.
pub(super) fn locate(path: &Path) -> io::Result<Located> {
    let spelled = plainly(&absolute(path)?);
    let mut at = absolute(path)?;
    for _ in 0..MOST_LINKS {
        match fs::metadata(&at) {
            Ok(metadata) => {
                let identity = Identity::There(FileId::of(&metadata));
                // What has no path, as a pipe that `/dev/stdout` leads to, keeps the one it was found under.
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
            // It has come this moment: look again.
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

/// What its metadata say a file is.
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

/// An absolute path with `.` and `..` taken out by their letters alone.
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
