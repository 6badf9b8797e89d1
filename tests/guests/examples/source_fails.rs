//! `next` may fail with a message: the pipeline fails with it.
use contract::*;

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        Err("the well is dry".to_owned())
    }
}

export!(source, Guest);
