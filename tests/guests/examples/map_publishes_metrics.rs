//! Publishes metrics. The host drops metrics with invalid names, and metrics beyond the sixty-fourth name.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        metrics::counter("seen", rows(&payloads) as u64);
        metrics::gauge("last", 2.5);
        metrics::histogram("size", 3.0);
        metrics::counter("not a name", 1);
        metrics::counter(&"n".repeat(65), 1);
        for i in 0..100 {
            metrics::counter(&format!("many_{i:03}"), 1);
        }
        echo(&payloads);
    }
}

export!(map, Guest);
