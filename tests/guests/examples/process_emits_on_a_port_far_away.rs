//! A port is 0 or a port that `ports` named; any other number is refused, however large.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            output::emit(u32::MAX, &batch, None);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
