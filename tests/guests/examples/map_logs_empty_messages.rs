//! An empty message is a line in the host's log: without end they are a flood.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        while poisoned(&payloads) {
            log::write(log::Level::Error, "");
        }
        echo(&payloads);
    }
}

export!(map, Guest);
