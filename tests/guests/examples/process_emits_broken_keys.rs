//! The rules for columns hold for every column of a batch, here for keys.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            output::emit(0, &Batch { keys: Some(broken(&[0, 99], 1)), ..batch_of(column(["x"])) }, None);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
