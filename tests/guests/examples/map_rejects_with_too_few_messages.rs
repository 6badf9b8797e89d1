//! `output.failures` has one message for each row.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::failures(&[0], &column::<&str>([]));
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
