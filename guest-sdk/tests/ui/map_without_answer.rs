#[sage_guest::map]
fn shout(line: &str) {
    line.to_uppercase();
}

fn main() {}
