//! A process that does not answer says that nothing comes out.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(_: Batch) {}
}

export!(process, Guest);
