//! `limits.output_bytes_per_call` bounds everything that one call sends.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        if poisoned(&payloads) {
            let many = column(std::iter::repeat_n("0123456789abcdef", 4096));
            loop {
                output::rows(&many, &[0; 4096]);
            }
        } else {
            output::rows(&payloads, &(0..rows(&payloads) as u32).collect::<Vec<_>>());
        }
    }
}

export!(flat_map, Guest);
