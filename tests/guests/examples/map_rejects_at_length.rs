//! The host truncates the message of a rejected record that stops the pipeline.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        reject_poison(&payloads, &"on and on ".repeat(100_000));
        echo(&payloads);
    }
}

export!(map, Guest);
