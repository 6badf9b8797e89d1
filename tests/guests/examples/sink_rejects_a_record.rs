//! A sink names the records it would not take.
use contract::*;

struct Guest;

impl Writer for Guest {
    fn write(batch: Batch) {
        if let Some(row) = poison_row(&batch.payloads) {
            output::failures(&[row], &column(["not in my house"]));
        }
    }
}

export!(sink, Guest);
