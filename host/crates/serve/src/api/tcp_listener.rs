use std::io;
use std::net::{SocketAddr, TcpListener};

use super::listener::ListenError;

/// Makes the listener for TCP.
///
/// # Errors
/// [`ListenError::Busy`] if another program has the port; [`ListenError::Open`] if the address is not of this machine
/// alone, the connection would not be encrypted, and nobody said that this is wanted; the system refuses.
pub(super) fn listen_tcp(address: SocketAddr, is_safe: bool) -> Result<TcpListener, ListenError> {
    if !is_safe && !address.ip().to_canonical().is_loopback() {
        return Err(ListenError::Open { address });
    }
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Busy { address },
        _ => ListenError::Tcp { address, source },
    })?;
    listener.set_nonblocking(true).map_err(|source| ListenError::Tcp { address, source })?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_network_needs_tls_or_a_word_and_a_busy_port_is_named() {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = listen_tcp(local, false).unwrap();
        let busy = listen_tcp(listener.local_addr().unwrap(), false).unwrap_err();
        assert!(matches!(busy, ListenError::Busy { .. }), "{busy}");
        for open in ["0.0.0.0:0", "[::]:0", "[::ffff:192.0.2.1]:0"] {
            assert!(matches!(listen_tcp(open.parse().unwrap(), false), Err(ListenError::Open { .. })), "{open}");
        }
        listen_tcp("0.0.0.0:0".parse().unwrap(), true).unwrap();
    }
}
