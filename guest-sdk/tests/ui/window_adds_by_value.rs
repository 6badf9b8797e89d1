#[derive(Default)]
struct Count;

#[sage_guest::window]
impl Count {
    fn add(&mut self, count: u64, _: &str) -> u64 {
        count + 1
    }

    fn merge(&mut self, count: &mut u64, later: u64) {
        *count += later;
    }

    fn finish(&mut self, _: &sage_guest::Window, count: u64, out: &mut sage_guest::Emitter) -> Result<(), sage_guest::Error> {
        out.emit(count)
    }
}

fn main() {}
