//! Only calls with records have answers: `output.payloads` in `open` is malformed.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn open(_: Context) -> Result<(), String> {
        output::payloads(&column(["early"]));
        Ok(())
    }

    fn map(payloads: Column) {
        echo(&payloads);
    }
}

export!(map, Guest);
