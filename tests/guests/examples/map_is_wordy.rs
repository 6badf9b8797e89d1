//! Every record grows by the same factor: what one call sends, in all, is over `limits.output_bytes_per_call`.
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
