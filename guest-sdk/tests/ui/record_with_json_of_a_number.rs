#[derive(sage_guest::Record)]
struct Reading {
    #[record(json)]
    celsius: f64,
}

fn main() {}
