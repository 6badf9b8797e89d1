//! Parents never decrease from one `rows` to the next. A batch of one record cannot break the rule.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        for (i, entry) in entries(&payloads).enumerate().collect::<Vec<_>>().into_iter().rev() {
            output::rows(&column([entry]), &[i as u32]);
        }
    }
}

export!(flat_map, Guest);
