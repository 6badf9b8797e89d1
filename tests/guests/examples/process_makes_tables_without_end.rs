//! Tables cost memory too: a guest cannot make them without end.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            for i in 0_u64.. {
                state::put(&format!("{i}{}", "t".repeat(1000)), &column([""]), &column([""]));
            }
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
