//! `flush` may fail with a message: the pipeline fails with it.
use contract::*;

struct Guest;

impl Writer for Guest {
    fn write(_: Batch) {}

    fn flush() -> Result<(), String> {
        Err("the disk said no".to_owned())
    }
}

export!(sink, Guest);
