//! A trap loses the guest's memory. An instance that panics on the tenth record it sees still completes all
//! records, ten or fewer at a time.
use contract::*;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static SEEN: AtomicUsize = AtomicUsize::new(0);

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        let seen = SEEN.fetch_add(rows(&payloads), Relaxed) + rows(&payloads);
        assert!(seen < 10, "worn out after {seen} records");
        echo(&payloads);
    }
}

export!(map, Guest);
