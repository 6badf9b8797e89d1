//! A filter calls `output.keep` exactly once in a call: a second time is malformed.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if poisoned(&payloads) {
            keep_all(&payloads);
            keep_all(&payloads);
        } else {
            keep_all(&payloads);
        }
    }
}

export!(filter, Guest);
