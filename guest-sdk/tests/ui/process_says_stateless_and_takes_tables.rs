use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error};

struct Count {
    seen: Value<u64>,
}

#[sage_guest::process(stateless)]
impl Count {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { seen: tables.value("seen")? })
    }

    fn process(&mut self, _: &[u8], _: &mut Emitter) -> Result<(), Error> {
        self.seen.put(1)
    }
}

fn main() {}
