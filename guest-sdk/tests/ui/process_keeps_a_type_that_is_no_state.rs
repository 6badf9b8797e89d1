use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error};

#[derive(Clone)]
struct Total(f64);

struct Sum {
    total: Value<Total>,
}

#[sage_guest::process]
impl Sum {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { total: tables.value("total")? })
    }

    fn process(&mut self, _: f64, _: &mut Emitter) {}
}

fn main() {}
