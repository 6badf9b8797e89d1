//! A wait in the host uses no CPU time, but `call_timeout` bounds it.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
