//! A correct map, which runs beside the hostile guests: every record in upper case.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        output::payloads(&column(entries(&payloads).map(<[u8]>::to_ascii_uppercase)));
    }
}

export!(map, Guest);
