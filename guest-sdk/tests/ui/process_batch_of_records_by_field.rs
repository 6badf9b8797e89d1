use sage_guest::{Error, Record};

#[derive(Record)]
struct Reading<'a> {
    sensor: &'a str,
}

#[derive(Record)]
#[record(extends)]
struct Alert {
    hot: bool,
}

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process_batch(&mut self, _: sage_guest::Records<Reading>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
