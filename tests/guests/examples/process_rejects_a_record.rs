//! A process may reject a record.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        let row = poison_row(&batch.payloads);
        if let Some(row) = row {
            output::failures(&[row], &column(["not to be processed"]));
        }
        let (parents, out): (Vec<u32>, Vec<&[u8]>) =
            (0_u32..).zip(entries(&batch.payloads)).filter(|(i, _)| Some(*i) != row).unzip();
        output::emit(0, &batch_of(column(out)), Some(&parents));
    }
}

export!(process, Guest);
