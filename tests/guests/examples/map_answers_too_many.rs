//! The column of a map has an entry for every record: one too many is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&column(entries(&payloads).chain([&b"more"[..]])));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
