//! No output can follow the end: `output.emit` in `close` is malformed and reported, not silently lost.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }

    fn close() {
        output::emit(0, &batch_of(column(["late"])), None);
    }
}

export!(process, Guest);
