struct Kelvin(f64);

#[derive(sage_guest::Record)]
struct Reading {
    temperature: Option<Kelvin>,
}

fn main() {}
