//! Parents never fall from one `rows` to the next. It takes two records to show; one at a time all is well.
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
