use sage_guest::{Emitter, Error, Records};

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process_batch(&mut self, _: Records<&str>, _: &mut Emitter) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
