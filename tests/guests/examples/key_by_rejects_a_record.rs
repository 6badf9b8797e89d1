//! A key-by may reject a record.
use contract::*;

struct Guest;

impl KeySelector for Guest {
    fn key_by(payloads: Column) {
        reject_poison(&payloads, "no key for this");
        output::keys(&payloads);
    }
}

export!(key_by, Guest);
