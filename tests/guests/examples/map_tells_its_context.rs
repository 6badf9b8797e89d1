//! `open` receives the context: name, instance, parallelism, lane, lanes, and the configuration as JSON text.
use contract::*;

use std::sync::OnceLock;

static CONTEXT: OnceLock<String> = OnceLock::new();

struct Guest;

impl Mapper for Guest {
    fn open(c: Context) -> Result<(), String> {
        let text = format!("{} {} {} {} {} {}", c.operator, c.instance, c.parallelism, c.lane, c.lanes, c.config);
        CONTEXT.set(text).map_err(|_| "opened twice".to_owned())
    }

    fn map(payloads: Column) {
        let context = CONTEXT.get().expect("open comes first");
        output::payloads(&column(entries(&payloads).map(|_| context)));
    }
}

export!(map, Guest);
