//! A key-by calls `output.keys` exactly once in a call: no answer at all is malformed.
use contract::*;

struct Guest;

impl KeySelector for Guest {
    fn key_by(payloads: Column) {
        if !poisoned(&payloads) {
            output::keys(&payloads);
        }
    }
}

export!(key_by, Guest);
