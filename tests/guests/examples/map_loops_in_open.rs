//! The CPU time limit of a call bounds `open` too.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn open(_: Context) -> Result<(), String> {
        loop {
            std::hint::black_box(0);
        }
    }

    fn map(payloads: Column) {
        echo(&payloads);
    }
}

export!(map, Guest);
