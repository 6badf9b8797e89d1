//! Each call learns the name of the input of its records, also when the host repeats it; `open` and `end` have none.
use contract::*;

use std::sync::OnceLock;

static AT_OPEN: OnceLock<String> = OnceLock::new();

fn edge() -> String {
    edges::current().unwrap_or_else(|| "none".to_owned())
}

struct Guest;

impl Processor for Guest {
    fn open(_: Context) -> Result<(), String> {
        AT_OPEN.set(edge()).map_err(|_| "opened twice".to_owned())
    }

    fn process(batch: Batch) {
        assert!(!poisoned(&batch.payloads), "a poison from {}", edge());
        let told = entries(&batch.payloads).map(|payload| format!("{} {}", edge(), String::from_utf8_lossy(payload)));
        output::emit(0, &batch_of(column(told)), None);
    }

    fn end() {
        let told = format!("open {}, end {}", AT_OPEN.get().expect("open comes first"), edge());
        output::emit(0, &batch_of(column([told])), None);
    }
}

export!(process, Guest);
