#[derive(sage_guest::Record)]
struct Reading {
    celsius: f64,
}

#[sage_guest::map]
fn text(reading: Reading) -> String {
    reading.celsius.to_string()
}

fn main() {}
