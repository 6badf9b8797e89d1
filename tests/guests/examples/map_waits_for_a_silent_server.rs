//! `call_timeout` bounds the wait for a peer, also inside a read. Each record is an address.
use contract::*;

use std::io::Read;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        for address in entries(&payloads) {
            let mut stream =
                std::net::TcpStream::connect(std::str::from_utf8(address).expect("an address")).expect("granted");
            stream.read_exact(&mut [0]).expect("never comes");
        }
        echo(&payloads);
    }
}

export!(map, Guest);
