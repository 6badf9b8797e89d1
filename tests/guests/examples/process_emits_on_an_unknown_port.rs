//! A port is 0 or a port that `ports` named; any other number is refused.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            output::emit(1, &batch, None);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
