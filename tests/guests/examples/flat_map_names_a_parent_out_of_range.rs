//! A parent is a record of the call: an index beyond them is malformed.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        if poisoned(&payloads) {
            output::rows(&column(["x"]), &[rows(&payloads) as u32]);
        } else {
            output::rows(&payloads, &(0..rows(&payloads) as u32).collect::<Vec<_>>());
        }
    }
}

export!(flat_map, Guest);
