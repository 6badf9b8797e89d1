#[sage_guest::map]
fn text<T: ToString>(number: u64, unit: &T) -> String {
    format!("{number} {}", unit.to_string())
}

fn main() {}
