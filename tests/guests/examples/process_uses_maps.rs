//! The map of a key: a scan returns entries in the byte order of their subkeys, from after a given subkey, up
//! to a limit. `delete` removes the map of the key.
use contract::*;

fn scanned(after: Option<&[u8]>, limit: u32) -> String {
    let found = state::map_scan("m", b"k", after, limit);
    let pairs = entries(&found.subkeys).zip(entries(&found.values));
    pairs
        .map(|(k, v)| format!("{}={}", String::from_utf8_lossy(k), String::from_utf8_lossy(v)))
        .collect::<Vec<_>>()
        .join(",")
}

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        state::map_put("m", b"k", &column(["b", "a", "c", "a"]), &column(["2", "0", "3", "1"]));
        let all = scanned(None, 10);
        let some = scanned(Some(b"a"), 1);
        state::map_delete("m", b"k", &column(["b", "never was"]));
        let got = state::map_get("m", b"k", &column(["a", "b"]));
        let present = got.present[0];
        let other = state::map_get("m", b"another", &column(["a"])).present[0];
        state::delete("m", &column(["k"]));
        let line = format!("{all} | {some} | {present} | {other} | {}", scanned(None, 10));
        output::emit(0, &batch_of(column(entries(&batch.payloads).map(|_| &line))), None);
    }
}

export!(process, Guest);
