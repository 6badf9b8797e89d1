use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager that started this process, by the protocol of systemd's `sd_notify(3)`: a datagram of
/// `NAME=value` lines to the socket in `NOTIFY_SOCKET`. Without one, nothing is sent.
#[derive(Debug, Default)]
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Time within which the manager wants to hear of the process.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that the environment names.
    pub(super) fn of_environment() -> io::Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let Some(path) = variable("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let address = match path.as_bytes().split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(&path)?,
        };
        let number = |name| variable(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        let is_meant = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| *time > 0 && is_meant).map(Duration::from_micros);
        Ok(Self { socket: Some((UnixDatagram::unbound()?, address)), watchdog })
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// How often the manager should hear of the process: twice within its time.
    pub(super) fn beat(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    /// Tells the manager something.
    pub(super) fn tell(&self, lines: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(lines.as_bytes(), address) {
            tracing::warn!(%error, "the service manager was not told: {}", lines.replace('\n', ", "));
        }
    }
}
