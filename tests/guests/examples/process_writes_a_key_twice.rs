//! The later of two equal keys in one `put` wins; an empty value is a value; a deleted key is absent.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        let keys = column(["a", "b", "a", "empty", "gone"]);
        state::put("t", &keys, &column(["first", "b", "later", "", "x"]));
        state::delete("t", &column(["gone", "never was"]));
        let found = state::get("t", &column(["a", "b", "empty", "gone", "nobody"]));
        let told = entries(&found.values).enumerate().map(|(i, value)| {
            let present = found.present[i / 8] >> (i % 8) & 1 == 1;
            format!("{present}={}", String::from_utf8_lossy(value))
        });
        let line = told.collect::<Vec<_>>().join(" ");
        output::emit(0, &batch_of(column(entries(&batch.payloads).map(|_| &line))), None);
    }
}

export!(process, Guest);
