use sage_guest::{Emitter, Progress};

#[derive(Default)]
struct Counter(u64);

#[sage_guest::source]
impl Counter {
    fn next(&mut self, _: &mut Emitter) -> Progress {
        Progress::End
    }

    fn position(&self) -> u64 {
        self.0
    }
}

fn main() {}
