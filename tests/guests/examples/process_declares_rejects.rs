//! `rejects` is not among the names of the side outputs: every operator has it from the host.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn ports() -> Vec<String> {
        vec!["rejects".to_owned()]
    }

    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
