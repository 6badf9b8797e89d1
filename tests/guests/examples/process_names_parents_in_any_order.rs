//! Parents of `emit` may have any order, and an output may have none.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        let backwards: Vec<(u32, &[u8])> = (0_u32..).zip(entries(&batch.payloads)).collect();
        let (parents, payloads): (Vec<u32>, Vec<&[u8]>) = backwards.into_iter().rev().unzip();
        output::emit(0, &batch_of(column(payloads)), Some(&parents));
    }
}

export!(process, Guest);
