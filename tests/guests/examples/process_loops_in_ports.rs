//! The host calls `ports` before the pipeline starts: a loop there is stopped and the component is refused.
use contract::*;

struct Guest;

impl Processor for Guest {
    fn ports() -> Vec<String> {
        loop {
            std::hint::black_box(0);
        }
    }

    fn process(batch: Batch) {
        output::emit(0, &batch, None);
    }
}

export!(process, Guest);
