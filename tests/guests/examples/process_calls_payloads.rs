//! `output.payloads` is for maps: a process that calls it is malformed.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            output::payloads(&batch.payloads);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
