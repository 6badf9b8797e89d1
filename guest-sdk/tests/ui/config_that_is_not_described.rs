use sage_guest::{Context, Emitter, Error};

#[derive(serde::Deserialize)]
struct Settings {}

struct Pass;

#[sage_guest::process(config = Settings, stateless)]
impl Pass {
    fn open(context: &Context) -> Result<Self, Error> {
        context.config::<Settings>().map(|_| Self)
    }

    fn process(&mut self, record: &[u8], out: &mut Emitter) -> Result<(), Error> {
        out.emit(record)
    }
}

fn main() {}
