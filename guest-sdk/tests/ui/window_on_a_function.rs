#[sage_guest::window]
fn count(record: &str) -> u64 {
    record.len() as u64
}

fn main() {}
