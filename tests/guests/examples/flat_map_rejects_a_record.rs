//! A flat-map may reject a record. The outputs of that record may be ignored; the rest of the call goes on.
use contract::*;

struct Guest;

impl FlatMapper for Guest {
    fn flat_map(payloads: Column) {
        reject_poison(&payloads, "not to be split");
        let (parents, out): (Vec<u32>, Vec<&[u8]>) =
            (0_u32..).zip(entries(&payloads)).filter(|(_, entry)| *entry != POISON).unzip();
        output::rows(&column(out), &parents);
    }
}

export!(flat_map, Guest);
