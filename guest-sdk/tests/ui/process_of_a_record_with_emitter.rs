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

#[sage_guest::process]
fn pass(reading: Reading, out: &mut sage_guest::Emitter) -> Result<(), Error> {
    out.emit(reading.sensor)
}

fn main() {}
