//! Tells each key with its payload, the instance and the lane that got it, and its count in keyed state.
use contract::*;

use std::sync::OnceLock;

static PLACE: OnceLock<String> = OnceLock::new();

struct Guest;

impl Processor for Guest {
    fn open(context: Context) -> Result<(), String> {
        PLACE.set(format!("{}.{}", context.instance, context.lane)).map_err(|_| "opened twice".to_owned())
    }

    fn process(batch: Batch) {
        let keys = batch.keys.expect("a key for every record");
        let place = PLACE.get().expect("open comes first");
        let told = entries(&keys).zip(entries(&batch.payloads)).map(|(key, payload)| {
            let one = column([key]);
            let before = state::get("counts", &one).values;
            let count = before.bytes.as_slice().try_into().map_or(0, u64::from_le_bytes) + 1;
            state::put("counts", &one, &column([count.to_le_bytes()]));
            format!("{key:02x?} {place} {count} {}", String::from_utf8_lossy(payload))
        });
        output::emit(0, &batch_of(column(told)), None);
    }
}

export!(process, Guest);
