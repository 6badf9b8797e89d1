//! A sink names the records it would not take.
use contract::*;

struct Guest;

impl Writer for Guest {
    fn write(batch: Batch) {
        reject_poison(&batch.payloads, "not in my house");
    }
}

export!(sink, Guest);
