#[sage_guest::map]
struct Celsius {
    offset: f64,
}

fn main() {}
