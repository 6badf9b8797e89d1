#[derive(sage_guest::Record)]
struct Reading<'a>(&'a str, f64);

fn main() {}
