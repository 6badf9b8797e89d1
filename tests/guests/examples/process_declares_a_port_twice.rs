//! Names of side outputs are unique.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn ports() -> Vec<String> {
        vec!["late".to_owned(), "late".to_owned()]
    }

    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
