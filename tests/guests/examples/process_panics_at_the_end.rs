//! A trap in `end` fails the pipeline: what it would have said is missing.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }

    fn end() {
        panic!("no last words");
    }
}

export!(process, Guest);
