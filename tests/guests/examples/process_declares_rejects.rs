//! A component must not declare a side output `rejects`: the host gives it to every operator.
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
