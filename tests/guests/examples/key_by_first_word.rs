//! A correct key-by: the key is the first word of a record, which may be empty.
use contract::*;

struct Guest;

impl KeySelector for Guest {
    fn key_by(payloads: Column) {
        output::keys(&column(entries(&payloads).map(|entry| entry.split(|b| *b == b' ').next().unwrap_or(b""))));
    }
}

export!(key_by, Guest);
