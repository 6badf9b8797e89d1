#[sage_guest::map]
fn shout(record: &mut str) {
    record.make_ascii_uppercase();
}

fn main() {}
