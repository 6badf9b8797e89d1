//! A correct filter: bit `i % 8` of byte `i / 8` is record `i`. The filter keeps the even numbers.
use contract::*;

struct Guest;

impl Predicate for Guest {
    fn filter(payloads: Column) {
        let mut bitmap = vec![0; rows(&payloads).div_ceil(8)];
        for (i, entry) in entries(&payloads).enumerate() {
            if number(entry).is_multiple_of(2) {
                bitmap[i / 8] |= 1 << (i % 8);
            }
        }
        output::keep(&bitmap);
    }
}

export!(filter, Guest);
