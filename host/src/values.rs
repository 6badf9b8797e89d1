use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use sage_plan::config::{UnitError, parse_duration};
use sage_runtime::engine::StartFrom;

/// Parses a duration on the command line.
pub(super) fn duration(written: &str) -> Result<Duration, String> {
    parse_duration(written).map_err(|error| match error {
        UnitError::NoUnit { .. } => format!("{error}: write {written}s for seconds, {written}m for minutes"),
        UnitError::Number { .. } => format!("{error}: durations are 500ms, 10s, 2m or 1h"),
        error => error.to_string(),
    })
}

/// Parses where a run begins.
pub(super) fn start_from(written: &str) -> Result<StartFrom, String> {
    match written {
        "last" => Ok(StartFrom::Last),
        "none" => Ok(StartFrom::Nothing),
        _ => {
            if let Some(number) = written.strip_prefix("epoch:").and_then(|number| number.parse().ok()) {
                return Ok(StartFrom::Epoch(number));
            }
            match Path::new(written).is_dir() {
                true => Ok(StartFrom::Savepoint(written.into())),
                false => Err("write last, none, epoch:N, as epoch:12, or the folder of a savepoint".to_owned()),
            }
        }
    }
}

/// Parses the address for metrics: an address, or a name of this machine such as `localhost`, and a port.
pub(super) fn metrics_address(written: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = written.parse() {
        return Ok(address);
    }
    if written.parse::<u16>().is_ok() {
        return Err(format!(
            "{written} is a port: write 127.0.0.1:{written} for this machine only, \
             or 0.0.0.0:{written} for every network"
        ));
    }
    let Some((host, port)) = written.rsplit_once(':') else {
        return Err(format!("the address has no port: write {written}:9464"));
    };
    if port.parse::<u16>().is_err() {
        return Err(format!("\"{port}\" is no port: 0 to 65535"));
    }
    if host.is_empty() {
        return Err(format!(
            "the address has no host: write 127.0.0.1{written}, or 0.0.0.0{written} for every network"
        ));
    }
    let found = written.to_socket_addrs().map_err(|error| format!("\"{host}\" has no address: {error}"))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    // `localhost` often has an IPv4 and an IPv6 address; Prometheus asks the IPv4 address first.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.into_iter().next().ok_or_else(|| format!("\"{host}\" has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (written, address) in
            [("127.0.0.1:9464", "127.0.0.1:9464"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:80", "0.0.0.0:80")]
        {
            assert_eq!(metrics_address(written), Ok(address.parse().unwrap()), "{written}");
        }
        // Resolved without a network: /etc/hosts contains this name everywhere.
        assert!(metrics_address("localhost:9464").is_ok_and(|address| address.ip().is_loopback()));
        for (written, says) in [
            ("9464", "write 127.0.0.1:9464 for this machine only"),
            ("localhost", "write localhost:9464"),
            (":9464", "write 127.0.0.1:9464"),
            ("127.0.0.1:many", "\"many\" is no port"),
            ("127.0.0.1:99999", "\"99999\" is no port"),
            ("", "the address has no port"),
        ] {
            let said = metrics_address(written).unwrap_err();
            assert!(said.contains(says), "{written}: {said}");
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("5").unwrap_err(), "\"5\" has no unit: write 5s for seconds, 5m for minutes");
        assert!(duration("soon").unwrap_err().contains("durations are 500ms, 10s, 2m or 1h"));
    }
}
