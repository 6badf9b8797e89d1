#[sage_guest::sink(payload)]
fn keep(_: &[u8]) {}

fn main() {}
