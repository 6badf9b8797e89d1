//! An empty `emit` costs the host something too: a guest cannot repeat it without end.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            let nothing = batch_of(column::<&str>([]));
            loop {
                output::emit(0, &nothing, None);
            }
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
