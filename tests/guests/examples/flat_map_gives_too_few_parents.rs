//! Every output has a parent: too few parents are malformed.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        if poisoned(&payloads) {
            output::rows(&column(["x", "y"]), &[0]);
        } else {
            output::rows(&payloads, &(0..rows(&payloads) as u32).collect::<Vec<_>>());
        }
    }
}

export!(flat_map, Guest);
