//! The rules for columns hold for the arguments of `state` too.
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
