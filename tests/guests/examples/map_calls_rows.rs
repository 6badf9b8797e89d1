//! `output.rows` is for flat-maps: a map that calls it is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::rows(&column(["x"]), &[0]);
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
