//! A process may reject a record.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        reject_poison(&batch.payloads, "not to be processed");
        let (parents, out): (Vec<u32>, Vec<&[u8]>) =
            (0_u32..).zip(entries(&batch.payloads)).filter(|(_, entry)| *entry != POISON).unzip();
        output::emit(0, &batch_of(column(out)), Some(&parents));
    }
}

export!(process, Guest);
