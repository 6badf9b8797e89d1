#[derive(sage_guest::Record)]
enum Reading {
    Hot,
    Cold,
}

fn main() {}
