//! The bits past `n` are zero.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        if poisoned(&payloads) {
            // A batch of whole bytes has none: it is left unanswered, which is malformed too.
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
