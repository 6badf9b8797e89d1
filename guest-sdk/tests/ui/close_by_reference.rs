#[derive(Default)]
struct Tally(u64);

#[sage_guest::sink]
impl Tally {
    fn write(&mut self, _: &[u8]) {
        self.0 += 1;
    }

    fn close(&mut self) {}
}

fn main() {}
