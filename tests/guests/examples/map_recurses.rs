//! Recursion without end overflows the stack of the guest alone.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            fn deeper(n: u64) -> u64 {
                if std::hint::black_box(n) == u64::MAX {
                    0
                } else {
                    deeper(std::hint::black_box(n + 1)) + std::hint::black_box(1)
                }
            }
            std::hint::black_box(deeper(0));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
