//! After a trap, a fresh instance starts with `open`, because guest memory is only a cache. The answer to
//! each record is the number of records that this instance has seen.
use contract::*;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static OPENED: AtomicU64 = AtomicU64::new(0);
static SEEN: AtomicU64 = AtomicU64::new(0);

struct Guest;

impl Mapper for Guest {
    fn open(_: Context) -> Result<(), String> {
        OPENED.fetch_add(1, Relaxed);
        Ok(())
    }

    fn map(payloads: Column) {
        assert!(!poisoned(&payloads), "here it is");
        let opened = OPENED.load(Relaxed);
        output::payloads(&column(entries(&payloads).map(|_| format!("{opened} {}", SEEN.fetch_add(1, Relaxed) + 1))));
    }
}

export!(map, Guest);
