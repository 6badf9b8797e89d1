//! What is logged reaches whoever runs the pipeline, with its level.
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
