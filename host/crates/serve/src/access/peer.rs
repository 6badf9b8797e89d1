use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A process on this machine that connected to the unix socket.
    Unix {
        /// Its user, by the kernel's credentials.
        user: u32,
        /// Whether it is a part of a job, by its control groups.
        in_job: bool,
    },
    /// A connection over TCP.
    Tcp {
        /// The address of the other end.
        address: SocketAddr,
        /// Whether the connection is encrypted.
        tls: bool,
    },
}

impl Peer {
    /// The address to which limits for a peer apply: an IPv4 address, or the network of an IPv6 address, because one
    /// machine has 2^64 addresses of it. `None` for the unix socket, whose owner has no limits.
    #[must_use]
    pub fn network(self) -> Option<IpAddr> {
        let Self::Tcp { address, .. } = self else { return None };
        match address.ip().to_canonical() {
            IpAddr::V4(address) => Some(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }

    /// The other end, in words.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Unix { user, .. } => format!("user {user}"),
            Self::Tcp { address, .. } => address.ip().to_canonical().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_applies_to_an_address_or_to_the_network_of_an_ipv6_address() {
        let tcp = |text: &str| Peer::Tcp { address: text.parse().unwrap(), tls: false };
        let network = |text: &str| tcp(text).network().map(|network| network.to_string());
        assert_eq!(network("10.0.0.1:5").as_deref(), Some("10.0.0.1"));
        assert_eq!(network("[::ffff:10.0.0.1]:5").as_deref(), Some("10.0.0.1"));
        assert_eq!(network("[2001:db8:1:2:3:4:5:6]:5"), network("[2001:db8:1:2:ffff::1]:9"));
        assert_ne!(network("[2001:db8:1:2::1]:5"), network("[2001:db8:1:3::1]:5"));
        assert_eq!(Peer::Unix { user: 0, in_job: false }.network(), None);
    }
}
