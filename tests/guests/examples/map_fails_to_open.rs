//! `open` may fail with a message; then the pipeline does not start.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn open(_: Context) -> Result<(), String> {
        Err("the moon is in the wrong house".to_owned())
    }

    fn map(payloads: Column) {
        echo(&payloads);
    }
}

export!(map, Guest);
