//! A key-by may reject a record.
use contract::*;

struct Guest;

impl KeySelector for Guest {
    fn key_by(payloads: Column) {
        if let Some(row) = poison_row(&payloads) {
            output::failures(&[row], &column(["no key for this"]));
        }
        output::keys(&payloads);
    }
}

export!(key_by, Guest);
