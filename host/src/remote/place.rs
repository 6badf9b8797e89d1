use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The variable that names the server's socket.
const VARIABLE: &str = "SAGE_HOST_SOCKET";

/// The state folder of a server that is not told another.
pub(super) fn state_folder() -> Result<PathBuf, Failure> {
    if is_root() {
        return Ok(PathBuf::from("/var/lib/sage-host"));
    }
    let folder = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    folder.map(|folder| folder.join("sage-host")).ok_or_else(|| {
        Failure::invalid("there is no folder for the state: neither XDG_STATE_HOME nor HOME says where")
            .hint("name it with --state")
    })
}

/// The socket of a server with this state folder, if it was told one.
pub(super) fn socket_of_server(state: Option<&Path>) -> Result<PathBuf, Failure> {
    match state {
        Some(state) => Ok(state.join("serve.sock")),
        None => default_socket(),
    }
}

/// The socket that a client connects to.
pub(super) fn socket_of_client(told: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(told) = told {
        return Ok(told.to_owned());
    }
    match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Ok(PathBuf::from(path)),
        None => default_socket(),
    }
}

fn default_socket() -> Result<PathBuf, Failure> {
    if is_root() {
        return Ok(PathBuf::from("/run/sage-host/serve.sock"));
    }
    match absolute("XDG_RUNTIME_DIR") {
        Some(folder) => Ok(folder.join("sage-host/serve.sock")),
        None => Ok(state_folder()?.join("serve.sock")),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
