//! Offsets never decrease.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&broken(&[0, 9, 4], 4));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
