#[derive(sage_guest::Record)]
struct Reading<'a> {
    sensor: &'a str,
    values: Vec<f64>,
}

fn main() {}
