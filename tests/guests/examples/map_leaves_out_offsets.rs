//! An empty column has `offsets = [0]`: a column without offsets is malformed.
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
