use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest path of a unix socket: the system has 108 bytes for it, with a zero at the end.
const LONGEST: usize = 107;

/// Longest wait for the socket of another server, and the pause between two tries.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// Why nothing can listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The path is too long for a socket.
    #[error("the path {path} has {} bytes, a socket may have {LONGEST}", path.as_os_str().len(), path = path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// Another server answers there.
    #[error("another server listens on {path}", path = path.display())]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{path} exists and is not a socket", path = path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another program has the port.
    #[error("the port {} of {} is in use", address.port(), address.ip())]
    Busy {
        /// The address.
        address: SocketAddr,
    },
    /// Others than this machine could connect, and read what is sent.
    #[error("{address} can be reached from other machines, and the connection would not be encrypted")]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refused the address.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("cannot listen on {path}: {source}", path = path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Checks the length of a path for a socket.
///
/// # Errors
/// [`ListenError::TooLong`].
pub(super) fn fits(path: &Path) -> Result<(), ListenError> {
    if path.as_os_str().len() > LONGEST { Err(ListenError::TooLong { path: path.to_owned() }) } else { Ok(()) }
}

/// Makes the socket, which only the user of the server and root may use. A socket that a killed server left is
/// replaced.
///
/// # Errors
/// See [`ListenError`].
pub(super) fn listen(path: &Path) -> Result<UnixListener, ListenError> {
    fits(path)?;
    let failed = |source| ListenError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket { path: path.to_owned() }),
        Ok(_) if is_taken(path) => return Err(ListenError::Taken { path: path.to_owned() }),
        Ok(_) => fs::remove_file(path).map_err(failed)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Whether a server listens there. A process that a killed server was just starting has its descriptors for a moment,
/// until it runs its program.
fn is_taken(path: &Path) -> bool {
    let until = Instant::now() + PATIENCE;
    while UnixStream::connect(path).is_ok() {
        if Instant::now() >= until {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_is_replaced_and_everything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/serve.sock");
        let listener = listen(&path).unwrap();
        assert!(matches!(listen(&path), Err(ListenError::Taken { .. })));
        drop(listener);
        drop(listen(&path).unwrap());
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(listen(&file), Err(ListenError::NotASocket { .. })));
        let long = folder.path().join("x".repeat(120));
        assert!(matches!(listen(&long), Err(ListenError::TooLong { .. })));
    }
}
