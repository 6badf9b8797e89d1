#[derive(sage_guest::Record)]
struct Matrix {
    rows: Vec<Vec<f64>>,
}

fn main() {}
