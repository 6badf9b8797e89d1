#[sage_guest::map]
fn first(line: &str) -> Option<&str> {
    line.split(' ').next()
}

fn main() {}
