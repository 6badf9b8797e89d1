use sage_guest::{Error, Record};

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process_batch(&mut self, _: Record<&str>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
