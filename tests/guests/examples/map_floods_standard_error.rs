//! The host bounds a guest's output on stderr in the same way as its log.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            let line = "flood ".repeat(1000);
            loop {
                eprintln!("{line}");
            }
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
