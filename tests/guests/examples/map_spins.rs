//! CPU for measuring: each record costs so many turns of a loop as the record says, without ever yielding.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        for entry in entries(&payloads) {
            for turn in 0..number(entry) {
                std::hint::black_box(turn);
            }
        }
        echo(&payloads);
    }
}

export!(map, Guest);
