#[sage_guest::flat_map]
fn words(line: &str) -> String {
    line.to_owned()
}

fn main() {}
