use sage_guest::{Batch, Error, Record};

#[derive(Record)]
struct Reading<'a> {
    sensor: &'a str,
}

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process_batch(&mut self, _: Batch<Reading>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
