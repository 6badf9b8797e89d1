//! `output.emit` is for processes and sources: a map that calls it is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        if poisoned(&payloads) {
            output::emit(0, &batch_of(column(["x"])), None);
            echo(&payloads);
        } else {
            echo(&payloads);
        }
    }
}

export!(map, Guest);
