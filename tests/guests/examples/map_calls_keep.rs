//! `output.keep` is for filters: a map that calls it is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::keep(&[0]);
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
