//! Offsets start at 0.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&broken(&[1, 4], 4));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
