use sage_guest::{Error, Port, Record};

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
fn pass(reading: Reading, out: &mut Port<Reading>) -> Result<(), Error> {
    out.emit(Alert { hot: reading.sensor.is_empty() })
}

fn main() {}
