//! A component that fails on every record: restarts back off and end in failure.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(_: Column) {
        panic!("never again");
    }
}

export!(map, Guest);
