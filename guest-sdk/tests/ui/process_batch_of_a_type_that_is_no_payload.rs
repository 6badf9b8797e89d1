use sage_guest::{Error, Records};

struct Reading;

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process_batch(&mut self, _: Records<Reading>) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
