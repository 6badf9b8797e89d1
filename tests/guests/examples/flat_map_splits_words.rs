//! A correct flat-map that answers many times in a call.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        for (i, entry) in entries(&payloads).enumerate() {
            let words: Vec<&[u8]> = entry.split(|b| *b == b' ').filter(|word| !word.is_empty()).collect();
            output::rows(&column(&words), &vec![i as u32; words.len()]);
        }
    }
}

export!(flat_map, Guest);
