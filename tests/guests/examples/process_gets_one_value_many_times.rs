//! Answers of `state` are copied into the guest. A large value, requested a hundred thousand times, exceeds
//! the guest's memory, and the host does not build the answer first.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        if poisoned(&batch.payloads) {
            state::put("t", &column(["k"]), &column([vec![1; 1 << 20]]));
            let many = column(std::iter::repeat_n("k", 100_000));
            let found = state::get("t", &many);
            output::emit(0, &batch_of(column([format!("got {}", rows(&found.values))])), None);
        } else {
            output::emit(0, &batch, None);
        }
    }
}

export!(process, Guest);
