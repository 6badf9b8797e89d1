//! No output can precede the input: `output.emit` in `open` is malformed and reported, not silently lost.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn open(_: Context) -> Result<(), String> {
        output::emit(0, &batch_of(column(["early"])), None);
        Ok(())
    }

    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
