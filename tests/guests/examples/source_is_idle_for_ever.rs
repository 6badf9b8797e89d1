//! A source that has nothing, until the pipeline is drained; it asks to be left alone for an hour, and is not.
use contract::*;

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        Ok(Progress::Idle(3_600_000))
    }
}

export!(source, Guest);
