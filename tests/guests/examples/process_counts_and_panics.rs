//! The host undoes the writes of a failed call: the count of every key is right although calls with poison
//! failed after they had written.
use contract::*;

fn number_of(values: &Column) -> u64 {
    values.bytes.as_slice().try_into().map_or(0, u64::from_le_bytes)
}

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        let poisoned = poisoned(&batch.payloads);
        let keys = batch.keys.expect("a key for every record");
        for key in entries(&keys) {
            let key = column([key]);
            let before = state::get("counts", &key);
            let count = number_of(&before.values) + 1;
            state::put("counts", &key, &column([count.to_le_bytes()]));
        }
        assert!(!poisoned, "after all the counting");
    }

    fn end() {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = state::keys_scan("counts", after.as_deref(), 3);
            let told = entries(&page.subkeys)
                .zip(entries(&page.values))
                .map(|(key, value)| format!("{} {}", String::from_utf8_lossy(key), number_of(&column([value]))));
            output::emit(0, &batch_of(column(told)), None);
            match entries(&page.subkeys).last() {
                Some(last) => after = Some(last.to_vec()),
                None => return,
            }
        }
    }
}

export!(process, Guest);
