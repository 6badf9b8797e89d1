//! An empty message is a line in the host's log too: a stream of them counts as a flood.
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
