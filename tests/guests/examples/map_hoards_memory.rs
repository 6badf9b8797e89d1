//! Memory over the cap fails the call with the bytes asked and the cap.
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
