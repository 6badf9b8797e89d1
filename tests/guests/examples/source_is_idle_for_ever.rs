//! A source without records that runs until the pipeline is drained. The source asks for a pause of an hour,
//! and the host calls it earlier.
use contract::*;

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        Ok(Progress::Idle(3_600_000))
    }
}

export!(source, Guest);
