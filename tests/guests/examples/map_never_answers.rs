//! A map calls `output.payloads` exactly once in a call: no answer at all is malformed.
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
