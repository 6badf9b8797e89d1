//! What a guest logs cannot steer the terminal of whoever reads it, nor forge a line of the host's.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        log::write(log::Level::Error, "\u{1b}[2Jcleared\r\nERROR forged by a guest\u{9b}31m");
        echo(&payloads);
    }
}

export!(map, Guest);
