//! The columns given to `state` keep the rules of a column.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            state::get("t", &broken(&[0, 5, 2], 2));
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
