//! A call that logs 16 times the limit fails.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            let line = "flood ".repeat(1000);
            loop {
                log::write(log::Level::Info, &line);
            }
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
