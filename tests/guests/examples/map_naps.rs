//! Waiting in the host costs no CPU time: a nap longer than `cpu_time_per_call` is fine.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        std::thread::sleep(std::time::Duration::from_millis(300));
        echo(&payloads);
    }
}

export!(map, Guest);
