#[derive(sage_guest::Record)]
struct Reading<'a> {
    sensor: &'a str,
    values: std::collections::HashMap<String, f64>,
}

fn main() {}
