struct Reading {
    celsius: f64,
}

#[sage_guest::map]
fn celsius(reading: Reading) -> f64 {
    reading.celsius
}

fn main() {}
