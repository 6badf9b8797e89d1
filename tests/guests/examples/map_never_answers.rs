//! A map calls `output.payloads` exactly once a call: not at all is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if !poisoned(&payloads) {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
