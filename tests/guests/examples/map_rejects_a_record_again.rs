//! The rows of `output.failures` increase over the whole call, also from one `failures` to the next.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            let row = poison_row(&payloads).unwrap_or(0);
            output::failures(&[row], &column(["once"]));
            output::failures(&[row], &column(["again"]));
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
