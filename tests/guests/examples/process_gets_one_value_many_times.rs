//! What `state` answers is copied into the guest: one large value asked for a hundred thousand times is over its
//! memory, and the host does not make it first.
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
