//! Messages of `output.failures` are UTF-8.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::failures(&[0], &column([[0xc3, 0x28]]));
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
