//! A guest that leaves through WASI `exit` fails the call; it does not end the host, whatever status it asks for.
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
