//! Keys, timestamps and headers that a process emits reach the next operator unchanged.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
