//! A key-by calls `output.keys` exactly once in a call: a second time is malformed.
use contract::*;

struct Guest;

impl KeySelector for Guest {
    fn key_by(payloads: Column) {
        if poisoned(&payloads) {
            output::keys(&payloads);
            output::keys(&payloads);
        } else {
            output::keys(&payloads);
        }
    }
}

export!(key_by, Guest);
