#[derive(sage_guest::Record)]
struct Reading {
    celsius: f64,
    #[record(rename = "celsius")]
    other: f64,
}

fn main() {}
