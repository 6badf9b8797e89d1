//! Parents of `emit` are for `process`: a source has no input to name.
use contract::*;

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        output::emit(0, &batch_of(column(["x"])), Some(&[0]));
        Ok(Progress::End)
    }
}

export!(source, Guest);
