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
struct Made;

#[sage_guest::source]
impl Made {
    fn next(&mut self, out: &mut Port<Alert>) -> Result<sage_guest::Progress, Error> {
        out.emit(Alert { hot: true })?;
        Ok(sage_guest::Progress::End)
    }
}

fn main() {}
