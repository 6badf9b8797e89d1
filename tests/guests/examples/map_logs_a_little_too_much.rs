//! Log bytes over `limits.log_bytes_per_second` are dropped and counted; the call goes on.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        for _ in 0..40 {
            log::write(log::Level::Info, &"0123456789".repeat(10));
        }
        echo(&payloads);
    }
}

export!(map, Guest);
