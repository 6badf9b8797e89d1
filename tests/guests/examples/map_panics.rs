//! A panic costs the record and one restart; the error quotes its message.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            panic!("what a nasty record");
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
