//! The bits past `n` are zero: a bit that is set there is malformed.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if poisoned(&payloads) {
            // A batch of a multiple of eight records has no such bits. The guest does not answer it, which is
            // malformed too.
            let n = rows(&payloads);
            if !n.is_multiple_of(8) {
                output::keep(&vec![0xff; n.div_ceil(8)]);
            }
        } else {
            keep_all(&payloads);
        }
    }
}

export!(filter, Guest);
