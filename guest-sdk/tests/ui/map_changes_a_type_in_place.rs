#[sage_guest::map]
fn count(record: &mut Vec<u8>) {
    record.push(b'!');
}

fn main() {}
