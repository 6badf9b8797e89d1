//! Tries the socket interfaces. Each record is an action: `connect ADDRESS`, `listen ADDRESS`, `udp ADDRESS`
//! or `resolve NAME`. The answer is the result.
use contract::*;

fn try_it(request: &str) -> bool {
    use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
    let (what, rest) = request.split_once(' ').unwrap_or((request, ""));
    match what {
        "connect" => TcpStream::connect(rest).is_ok(),
        "listen" => TcpListener::bind(rest).is_ok(),
        "udp" => UdpSocket::bind(rest).and_then(|socket| socket.send_to(b"x", "127.0.0.1:53")).is_ok(),
        "resolve" => (rest, 80).to_socket_addrs().is_ok(),
        other => panic!("what is {other:?}?"),
    }
}

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        let answers = entries(&payloads).map(|request| {
            let request = std::str::from_utf8(request).unwrap_or("");
            format!("{request}: {}", if try_it(request) { "yes" } else { "no" })
        });
        output::payloads(&column(answers));
    }
}

export!(map, Guest);
