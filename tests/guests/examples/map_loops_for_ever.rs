//! The CPU time limit of a call stops a loop without end.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            let mut n = 0_u64;
            loop {
                n = std::hint::black_box(n.wrapping_add(1));
            }
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
