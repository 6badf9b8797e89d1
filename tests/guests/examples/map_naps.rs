//! A wait in the host uses no CPU time, so a wait longer than `cpu_time_per_call` is allowed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        std::thread::sleep(std::time::Duration::from_millis(300));
        echo(&payloads);
    }
}

export!(map, Guest);
