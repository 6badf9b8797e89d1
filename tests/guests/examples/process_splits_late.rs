//! Side outputs: records that begin with `late` go to port 1, others to the main output.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn ports() -> Vec<String> {
        vec!["late".to_owned(), "unused".to_owned()]
    }

    fn process(batch: Batch) {
        let (late, punctual): (Vec<(u32, &[u8])>, Vec<_>) =
            (0_u32..).zip(entries(&batch.payloads)).partition(|(_, entry)| entry.starts_with(b"late"));
        for (port, chosen) in [(1, late), (0, punctual)] {
            let (parents, payloads): (Vec<u32>, Vec<&[u8]>) = chosen.into_iter().unzip();
            output::emit(port, &batch_of(column(payloads)), Some(&parents));
        }
    }
}

export!(process, Guest);
