//! A sink that panics on a record costs that record.
use contract::*;

struct Guest;

impl Writer for Guest {
    fn write(batch: Batch) {
        if poisoned(&batch.payloads) {
            panic!("indigestible");
        }
    }
}

export!(sink, Guest);
