//! What a guest says cannot steer the terminal of whoever reads it, nor forge a line of the host's.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            panic!("\u{1b}[2Jgone\u{7}\nerror: forged");
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
