#[derive(sage_guest::Record)]
struct Reading {
    #[record(nested)]
    values: Vec<f64>,
}

fn main() {}
