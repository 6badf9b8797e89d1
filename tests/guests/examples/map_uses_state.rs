//! `state` is only for `process`: a map that imports it is refused.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        state::put("t", &payloads, &payloads);
        echo(&payloads);
    }
}

export!(map, Guest);
