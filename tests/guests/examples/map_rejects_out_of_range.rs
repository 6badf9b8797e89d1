//! `output.failures` names records of the call: an index beyond them is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::failures(&[rows(&payloads) as u32], &column(["nobody"]));
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
