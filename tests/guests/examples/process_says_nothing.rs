//! A process that does not answer has no output.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(_: Batch) {}
}

export!(process, Guest);
