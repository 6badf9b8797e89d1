//! `output.payloads` is for maps: a filter that calls it is malformed.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&payloads);
            keep_all(&payloads);
        } else {
            keep_all(&payloads);
        }
    }
}

export!(filter, Guest);
