//! An empty column is `offsets = [0]`: no offsets at all are malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&broken(&[], 0));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
