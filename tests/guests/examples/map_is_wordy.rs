//! Every record grows by the same factor, so the output of one call exceeds `limits.output_bytes_per_call`.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::payloads(&column(entries(&payloads).map(|_| vec![b'x'; 50_000])));
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
