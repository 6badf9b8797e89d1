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

#[sage_guest::process(ports = ["hot"])]
fn pass(reading: Reading, out: &mut Port<Reading>, hot: &mut Port<Alert>) -> Result<(), Error> {
    hot.emit(Alert { hot: true })?;
    out.emit(reading)
}

fn main() {}
