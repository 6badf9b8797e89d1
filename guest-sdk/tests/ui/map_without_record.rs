#[sage_guest::map]
fn nothing() -> String {
    String::new()
}

fn main() {}
