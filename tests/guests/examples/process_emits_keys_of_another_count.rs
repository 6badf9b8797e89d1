//! Every column of a batch has as many entries as the payloads, here the keys.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            output::emit(0, &Batch { keys: Some(column(["k"])), ..batch_of(column(["x", "y"])) }, None);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
