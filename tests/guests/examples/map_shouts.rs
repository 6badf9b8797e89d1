//! An honest map, the neighbour of the others: every record in upper case.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        output::payloads(&column(entries(&payloads).map(<[u8]>::to_ascii_uppercase)));
    }
}

export!(map, Guest);
