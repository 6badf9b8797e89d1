use sage_guest::{Emitter, Error};

struct Count;

#[sage_guest::process]
impl Count {
    fn run(&mut self, _: &str, _: &mut Emitter) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
