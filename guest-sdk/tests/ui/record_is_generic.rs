#[derive(sage_guest::Record)]
struct Reading<T> {
    value: T,
}

fn main() {}
