//! What a guest prints is bounded like its log.
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
