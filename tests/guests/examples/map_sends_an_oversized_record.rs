//! A record over `limits.record_bytes` fails the call.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&column(entries(&payloads).map(|_| vec![b'x'; 100_000])));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
