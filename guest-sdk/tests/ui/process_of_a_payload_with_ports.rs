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
fn pass(line: &str, out: &mut Port<Reading>) -> Result<(), Error> {
    out.emit(Reading { sensor: line })
}

fn main() {}
