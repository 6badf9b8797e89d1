use std::path::{Path, PathBuf};

use sage_serve::api::{ServerPlace, ServerUrl};
use sage_serve::tls::Trust;

use super::contexts::{Context, Contexts};
use super::folder_variable::absolute;
use super::server_args::ServerArguments;
use crate::failure::Failure;

/// The variables that name a server: its socket, or its URL.
const SOCKET: &str = "SAGE_HOST_SOCKET";
const SERVER: &str = "SAGE_HOST_SERVER";

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

/// The server of a client, and what is known about it.
#[derive(Debug)]
pub(super) struct Place {
    /// Where it is.
    pub(super) server: ServerPlace,
    /// The file with the token, where the options or the context name one.
    pub(super) token_file: Option<PathBuf>,
    /// Whom to trust to be the server.
    pub(super) trust: Trust,
    /// The tenant whose jobs are meant.
    pub(super) tenant: Option<String>,
    /// Whether the token may go to another machine without encryption.
    pub(super) insecure: bool,
}

/// The server that options, variables or the current context name, in this order.
pub(super) fn place_of(options: &ServerArguments) -> Result<Place, Failure> {
    let at = |server| Place {
        server,
        token_file: options.token_file.clone(),
        trust: match (&options.ca, options.pin) {
            (_, Some(pin)) => Trust::Pinned(pin),
            (Some(file), None) => Trust::Authorities(file.clone()),
            (None, None) => Trust::System,
        },
        tenant: options.tenant.clone(),
        insecure: options.insecure,
    };
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(socket) = &options.socket {
        return Ok(at(ServerPlace::Socket(socket.clone())));
    }
    if let Some(url) = &options.server {
        return Ok(at(ServerPlace::Url(url.parse().map_err(Failure::invalid)?)));
    }
    if options.context.is_none() {
        if let Some(socket) = variable(SOCKET) {
            return Ok(at(ServerPlace::Socket(PathBuf::from(socket))));
        }
        if let Some(url) = variable(SERVER) {
            let url = url.to_string_lossy().parse().map_err(|error| Failure::invalid(format!("{SERVER}: {error}")))?;
            return Ok(at(ServerPlace::Url(url)));
        }
    }
    let contexts = Contexts::read()?;
    let Some(name) = options.context.as_ref().or(contexts.current.as_ref()) else {
        return Ok(at(ServerPlace::Socket(default_socket()?)));
    };
    let context = contexts.get(name)?;
    let url: ServerUrl =
        context.server.parse().map_err(|error| Failure::invalid(format!("context \"{name}\": {error}")))?;
    let mut place = at(ServerPlace::Url(url));
    place.token_file = place.token_file.or_else(|| context.token_file.clone());
    if place.trust == Trust::System {
        place.trust = trust_of(context).map_err(|error| Failure::invalid(format!("context \"{name}\": {error}")))?;
    }
    place.tenant = place.tenant.or_else(|| context.tenant.clone());
    place.insecure |= context.insecure;
    Ok(place)
}

fn trust_of(context: &Context) -> Result<Trust, String> {
    Ok(match (&context.ca, &context.pin) {
        (_, Some(pin)) => Trust::Pinned(pin.parse()?),
        (Some(file), None) => Trust::Authorities(file.clone()),
        (None, None) => Trust::System,
    })
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
