//! The bitmap has `ceil(n / 8)` bytes: a shorter one is malformed.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if poisoned(&payloads) {
            output::keep(&[]);
        } else {
            keep_all(&payloads);
        }
    }
}

export!(filter, Guest);
