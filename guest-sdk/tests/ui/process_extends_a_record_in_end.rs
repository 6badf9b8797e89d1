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

#[derive(Default)]
struct Count;

#[sage_guest::process]
impl Count {
    fn process(&mut self, reading: Reading, out: &mut Port<Reading>, hot: &mut Port<Alert>) -> Result<(), Error> {
        hot.emit(Alert { hot: true })?;
        out.emit(reading)
    }

    fn end(&mut self, hot: &mut Port<Alert>) -> Result<(), Error> {
        hot.emit(Alert { hot: false })
    }
}

fn main() {}
