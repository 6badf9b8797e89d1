//! Names of side outputs are `[a-z0-9-]+`.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn ports() -> Vec<String> {
        vec!["Too Late".to_owned()]
    }

    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
