//! An allocation over the memory limit fails the call; the error has the requested bytes and the limit.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
