use sage_guest::{Error, Port, Record, Records};

#[derive(Record)]
struct Reading<'a> {
    sensor: &'a str,
}

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process_batch(&mut self, _: Records<Reading>, _out: &mut Port<Reading>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
