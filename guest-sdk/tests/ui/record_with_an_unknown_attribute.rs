#[derive(sage_guest::Record)]
struct Reading {
    #[record(name = "Temp (F)")]
    fahrenheit: f64,
}

fn main() {}
