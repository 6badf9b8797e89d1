//! A scan returns at most 4096 entries, however many are requested.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            for block in 0..5_u32 {
                let keys = column((0..1000_u32).map(|i| (block * 1000 + i).to_be_bytes()));
                state::map_put("m", b"k", &keys, &keys);
            }
            let found = state::map_scan("m", b"k", None, u32::MAX);
            output::emit(0, &batch_of(column([format!("at most 4096: {}", rows(&found.subkeys) <= 4096)])), None);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
