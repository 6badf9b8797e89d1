//! The fields that outputs inherit count towards the output of a call: thirty thousand records of a parent
//! with a long key are too many.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        for (i, entry) in entries(&payloads).enumerate() {
            let times = if entry == POISON { 30_000 } else { 1 };
            output::rows(&column(std::iter::repeat_n(entry, times)), &vec![i as u32; times]);
        }
    }
}

export!(flat_map, Guest);
