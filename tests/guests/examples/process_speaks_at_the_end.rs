//! `end` is called once, after all input, and may emit.
use contract::*;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static SUM: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        assert_eq!(ENDED.load(Relaxed), 0, "input after the end");
        SUM.fetch_add(entries(&batch.payloads).map(number).sum(), Relaxed);
    }

    fn end() {
        assert_eq!(ENDED.fetch_add(1, Relaxed), 0, "the end came twice");
        output::emit(0, &batch_of(column([format!("sum {}", SUM.load(Relaxed))])), None);
    }
}

export!(process, Guest);
