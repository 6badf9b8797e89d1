//! A flat-map that does not answer has no output.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(_: Column) {}
}

export!(flat_map, Guest);
