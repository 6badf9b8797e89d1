//! A filter calls `output.keep` exactly once in a call: no answer at all is malformed.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if !poisoned(&payloads) {
            keep_all(&payloads);
        }
    }
}

export!(filter, Guest);
