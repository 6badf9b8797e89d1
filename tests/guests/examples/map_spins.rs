//! Uses CPU time for measurements: each record is the number of turns of a loop that never yields.
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
