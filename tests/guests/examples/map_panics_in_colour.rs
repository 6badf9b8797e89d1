//! A guest's panic message cannot control the reader's terminal and cannot imitate a line of the host.
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
