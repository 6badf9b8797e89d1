struct Numbered {
    next: u64,
}

#[sage_guest::map]
impl Numbered {
    fn map(&mut self, _: &[u8]) -> u64 {
        self.next += 1;
        self.next
    }
}

fn main() {}
