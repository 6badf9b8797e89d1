use sage_guest::{Emitter, Error};

#[sage_guest::process(payload)]
fn keep(record: &[u8], out: &mut Emitter) -> Result<(), Error> {
    out.emit(record)
}

fn main() {}
