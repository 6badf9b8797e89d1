//! The rows of `output.failures` increase: a repeated row is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            let row = poison_row(&payloads).unwrap_or(0);
            output::failures(&[row, row], &column(["once", "twice"]));
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
