use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// Opens a regular file for reading. Its folder may belong to a process that is not trusted: a link is not followed, and
/// a pipe is not waited for.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    open_at(CWD, path)
}

/// The same for a file in a folder that is no link either.
pub(crate) fn open_in(folder: &Path, name: &OsStr) -> io::Result<File> {
    open_at(open_folder(folder)?, Path::new(name))
}

/// Opens a folder that is no link.
pub(crate) fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::empty())?)
}

fn open_at(folder: impl AsFd, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(folder, path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_a_pipe_and_a_folder_are_no_files_and_a_link_is_no_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(root.path(), path("away")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        rustix::fs::mkfifoat(CWD, path("pipe"), Mode::RUSR).unwrap();
        assert!(open_plain(&path("file")).is_ok());
        for name in ["link", "pipe", "folder", "none"] {
            assert!(open_plain(&path(name)).is_err(), "{name}");
        }
        assert!(open_in(root.path(), OsStr::new("file")).is_ok());
        assert!(open_in(&path("away"), OsStr::new("file")).is_err());
    }
}
