struct Reading;

#[sage_guest::sink]
fn keep(_: Reading) {}

fn main() {}
