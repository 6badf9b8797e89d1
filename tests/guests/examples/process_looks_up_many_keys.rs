//! A host call looks up many keys while there are many tables. Neither number slows down the lookups.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            for table in 0..4_000_u32 {
                state::put(&table.to_string(), &column([""]), &column([""]));
            }
            let keys = column((0..300_000).map(|_| ""));
            state::get("3999", &keys);
            state::get("none", &keys);
            state::delete("none", &keys);
        }
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
