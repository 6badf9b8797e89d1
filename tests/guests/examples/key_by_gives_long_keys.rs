//! A correct key-by with keys of 64 KiB.
use contract::*;

struct Guest;

impl KeySelector for Guest {
    fn key_by(payloads: Column) {
        output::keys(&column(entries(&payloads).map(|_| vec![b'k'; 64 << 10])));
    }
}

export!(key_by, Guest);
