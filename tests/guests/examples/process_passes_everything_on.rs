//! Keys, timestamps and headers that a process emits go on as they are.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
