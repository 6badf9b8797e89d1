//! State counts towards the memory of the instance: a write beyond the limit fails the call.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            for i in 0_u64.. {
                state::put("t", &column([i.to_le_bytes()]), &column([vec![1; 65536]]));
            }
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
