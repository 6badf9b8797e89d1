//! `output.failures` is for every kind but source: a source that calls it is malformed.
use contract::*;

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        output::failures(&[0], &column(["whose?"]));
        Ok(Progress::End)
    }
}

export!(source, Guest);
