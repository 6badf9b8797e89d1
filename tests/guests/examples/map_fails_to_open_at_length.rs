//! The host truncates the message of a failed `open`, here of ten megabytes.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn open(_: Context) -> Result<(), String> {
        Err("the story so far: ".repeat(600_000))
    }

    fn map(payloads: Column) {
        echo(&payloads);
    }
}

export!(map, Guest);
