//! A guest's log message cannot control the reader's terminal and cannot imitate a line of the host.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        log::write(log::Level::Error, "\u{1b}[2Jcleared\r\nERROR forged by a guest\u{9b}31m");
        echo(&payloads);
    }
}

export!(map, Guest);
