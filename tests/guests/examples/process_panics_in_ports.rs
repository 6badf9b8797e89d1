//! The host calls `ports` before the pipeline starts: a trap there refuses the component.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn ports() -> Vec<String> {
        panic!("no ports in a storm");
    }

    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
