//! A sink lists the records that it rejects.
use contract::*;

struct Guest;

impl Writer for Guest {
    fn write(batch: Batch) {
        reject_poison(&batch.payloads, "not in my house");
    }
}

export!(sink, Guest);
