use std::fmt;
use std::str::FromStr;

/// Where a server is over TCP: `http://HOST:PORT` or `https://HOST:PORT`. The port is 19001 if it is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ServerUrl {
    /// The port of a server that is not told another.
    pub const PORT: u16 = 19001;

    /// The host as URLs and the header `Host` have it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether this is an address of this machine that no other machine can reach.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}", if self.tls { "s" } else { "" }, self.authority())
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| format!("\"{}\" is no server: {why}", written.escape_default());
        let (tls, rest) = match written.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(wrong("write http://HOST:PORT or https://HOST:PORT")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(|| wrong("a port follows the bracket"))?),
                };
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong("brackets are for IPv6 addresses"))?;
                (host, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(wrong("it has no path, user or other part, only a host and a port"));
        }
        let port = port.map_or(Ok(Self::PORT), str::parse).map_err(|_| wrong("the port is a number up to 65535"))?;
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        for (written, shown) in [
            ("http://127.0.0.1", "http://127.0.0.1:19001"),
            ("https://sage.example:443/", "https://sage.example:443"),
            ("http://[::1]:5", "http://[::1]:5"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:19001"),
        ] {
            assert_eq!(written.parse::<ServerUrl>().unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "localhost:19001",
            "ftp://x",
            "http://",
            "http://x/y",
            "http://u@x",
            "http://x:99999",
            "http://[::1",
            "http://[x]",
            "http://[::1]5",
            "http://a b",
            "http://x\r\ny",
        ] {
            assert!(wrong.parse::<ServerUrl>().is_err(), "{wrong:?}");
        }
        assert!("http://[::1]".parse::<ServerUrl>().unwrap().is_loopback());
        assert!(!"http://10.0.0.1".parse::<ServerUrl>().unwrap().is_loopback());
    }
}
