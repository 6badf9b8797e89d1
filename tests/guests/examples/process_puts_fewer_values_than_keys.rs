//! `put` has a value for every key.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            state::put("t", &column(["a", "b"]), &column(["1"]));
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
