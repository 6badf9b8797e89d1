//! The error policy (`on_error`) applies to a trap in `end`; the output of that `end` is missing.
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
