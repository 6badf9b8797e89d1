//! A guest's log messages reach the user's log, with their level.
use contract::*;

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        log::write(log::Level::Warn, "a word of warning: ✓");
        log::write(log::Level::Trace, "hardly a whisper");
        echo(&payloads);
    }
}

export!(map, Guest);
