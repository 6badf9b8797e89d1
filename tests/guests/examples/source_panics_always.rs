//! The host gives up a source that always traps after `restarts_in_a_row`.
use contract::*;

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        panic!("never a record");
    }
}

export!(source, Guest);
