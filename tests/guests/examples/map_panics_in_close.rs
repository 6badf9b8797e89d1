//! A trap in `close` takes no output back.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        echo(&payloads);
    }

    fn close() {
        panic!("slammed the door");
    }
}

export!(map, Guest);
