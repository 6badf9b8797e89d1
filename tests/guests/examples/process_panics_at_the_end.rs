//! A trap in `end` meets `on_error`: what it would have said is missing.
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
