//! The bitmap has `ceil(n / 8)` bytes: a longer one is malformed.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if poisoned(&payloads) {
            output::keep(&vec![0; rows(&payloads).div_ceil(8) + 1]);
        } else {
            keep_all(&payloads);
        }
    }
}

export!(filter, Guest);
