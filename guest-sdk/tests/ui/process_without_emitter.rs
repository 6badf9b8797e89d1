use sage_guest::{Error, Record};

struct Count {
    seen: u64,
}

#[sage_guest::process]
impl Count {
    fn process(&mut self, record: Record<&str>) -> Result<(), Error> {
        self.seen += record.payload.len() as u64;
        Ok(())
    }
}

fn main() {}
