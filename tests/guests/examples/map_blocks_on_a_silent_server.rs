//! `call_timeout` bounds the wait for a peer, also inside `blocking-read` itself. Each record is a port of
//! this machine.
use contract::*;

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        for port in entries(&payloads) {
            let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok()).expect("a port");
            let socket = create_tcp_socket(IpAddressFamily::Ipv4).expect("granted");
            let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
            socket.start_connect(&instance_network(), address).expect("granted");
            socket.subscribe().block();
            let (input, _output) = socket.finish_connect().expect("a server that listens");
            let _never = input.blocking_read(1);
        }
        echo(&payloads);
    }
}

export!(map, Guest);
