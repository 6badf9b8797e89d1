//! A trap in `open` is like a failed `open`: the pipeline does not start.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn open(_: Context) -> Result<(), String> {
        panic!("no opening today");
    }

    fn map(payloads: Column) {
        echo(&payloads);
    }
}

export!(map, Guest);
