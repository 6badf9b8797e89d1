#[derive(Default)]
struct Sum;

#[derive(Default)]
struct Count;

#[sage_guest::window]
impl Count {
    fn add(&mut self, _: &mut Sum, _: &str) {}

    fn merge(&mut self, _: &mut Sum, _: Sum) {}

    fn finish(&mut self, _: &sage_guest::Window, _: Sum, out: &mut sage_guest::Emitter) -> Result<(), sage_guest::Error> {
        out.emit("done")
    }
}

fn main() {}
