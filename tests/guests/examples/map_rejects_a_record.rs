//! A record named in `output.failures` is rejected with its message. The entry of a rejected record is
//! ignored, and the rest of the call goes on.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        reject_poison(&payloads, "this one is bad: ✗");
        echo(&payloads);
    }
}

export!(map, Guest);
