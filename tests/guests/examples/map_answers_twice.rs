//! A map calls `output.payloads` exactly once in a call: a second time is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            echo(&payloads);
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
