//! `output.keys` is for key-bys: a map that calls it is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::keys(&payloads);
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
