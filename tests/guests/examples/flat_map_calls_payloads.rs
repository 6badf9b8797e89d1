//! `output.payloads` is for maps: a flat-map that calls it is malformed.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&payloads);
        } else {
            output::rows(&payloads, &(0..rows(&payloads) as u32).collect::<Vec<_>>());
        }
    }
}

export!(flat_map, Guest);
