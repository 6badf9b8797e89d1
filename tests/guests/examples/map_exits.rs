//! A guest that calls WASI `exit` fails the call. The host does not end, for any status.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            std::process::exit(0);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
