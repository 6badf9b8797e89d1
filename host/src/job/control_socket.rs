use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::control_client::ControlClient;
use super::job_state::JobState;
use super::peer::check_peer;
use crate::failure::Failure;
use crate::signals::StopRequests;

/// Longest path of a socket, in bytes: the kernel's limit.
const LONGEST_PATH: usize = 107;
/// Number of connections at a time. The server needs one or two.
const MOST_CLIENTS: usize = 8;

/// The control socket of a job: answers [`sage_jobs::ControlRequest`]s, one for each line.
///
/// **Waiting.** One thread accepts connections and each connection has a thread, of which there are at most
/// `MOST_CLIENTS`. A connection has a time limit for each request and each answer. Nothing of the run ever waits for a
/// client.
pub(super) struct ControlSocket {
    path: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A control socket at which nobody is served yet.
pub(super) struct ControlListener {
    path: PathBuf,
    listener: UnixListener,
}

impl ControlListener {
    /// Listens at a path, where the socket of an earlier attempt may lie.
    pub(super) fn bind(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let length = path.as_os_str().as_bytes().len();
        if length > LONGEST_PATH {
            let message = format!("the path of the control socket has {length} bytes, and {LONGEST_PATH} are allowed");
            return Err(Failure::fault(format!("{message}: {shown}")));
        }
        let listener = listen(path);
        let listener = listener.map_err(|error| Failure::fault(format!("cannot listen at {shown}: {error}")))?;
        Ok(Self { path: path.to_owned(), listener })
    }
}

impl ControlSocket {
    /// Serves whoever connects.
    pub(super) fn serve(socket: ControlListener, state: &Arc<JobState>, stop: StopRequests) -> Result<Self, Failure> {
        let ControlListener { path, listener } = socket;
        let over = Arc::<AtomicBool>::default();
        let accept = {
            let (state, over) = (Arc::clone(state), Arc::clone(&over));
            move || accept_until(&listener, &state, &stop, &over)
        };
        let thread = thread::Builder::new().name("control".to_owned()).spawn(accept);
        let failed = |error| Failure::fault(format!("cannot listen at {}: {error}", path.display()));
        let thread = Some(thread.map_err(failed)?);
        Ok(Self { path, over, thread })
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // The lock of the job is held, so no process listens at the socket that an earlier attempt left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Before this, peers are checked as well.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn accept_until(listener: &UnixListener, state: &Arc<JobState>, stop: &StopRequests, over: &AtomicBool) {
    let clients = Arc::<AtomicUsize>::default();
    loop {
        let accepted = listener.accept();
        if over.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((connection, _)) => serve(connection, &clients, state, stop),
            // No descriptor is free, for example. The queue of the socket keeps the connection.
            Err(error) => {
                tracing::debug!(%error, "a connection to the control socket was not accepted");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn serve(connection: UnixStream, clients: &Arc<AtomicUsize>, state: &Arc<JobState>, stop: &StopRequests) {
    let client = ControlClient { connection, state: Arc::clone(state), stop: stop.clone() };
    if let Err(why) = check_peer(&client.connection) {
        tracing::warn!("a connection to the control socket was refused: {why}");
        client.refuse(&why);
        return;
    }
    if clients.fetch_add(1, Ordering::AcqRel) >= MOST_CLIENTS {
        clients.fetch_sub(1, Ordering::AcqRel);
        client.refuse(&format!("there are {MOST_CLIENTS} connections already"));
        return;
    }
    let of_client = Arc::clone(clients);
    let serve = move || {
        client.serve();
        of_client.fetch_sub(1, Ordering::AcqRel);
    };
    if let Err(error) = thread::Builder::new().name("control-client".to_owned()).spawn(serve) {
        clients.fetch_sub(1, Ordering::AcqRel);
        tracing::warn!(%error, "a connection to the control socket was not served");
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // The thread waits for a connection. If none can be made, the end of the process ends it.
        let woken = UnixStream::connect(&self.path).map(|woken| woken.shutdown(Shutdown::Both)).is_ok();
        // The server removes the socket of a job with a user of its own.
        let _ = fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}
