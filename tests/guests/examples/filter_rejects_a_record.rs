//! A filter may reject a record with `output.failures`; the bit of that record is ignored.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        reject_poison(&payloads, "not for sieving");
        keep_all(&payloads);
    }
}

export!(filter, Guest);
