//! Keys count towards memory as values do.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            for i in 0_u32.. {
                let mut key = vec![0; 1 << 20];
                key[..4].copy_from_slice(&i.to_le_bytes());
                state::put("t", &column([key]), &column([""]));
            }
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
