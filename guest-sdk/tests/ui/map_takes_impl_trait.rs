#[sage_guest::map]
fn text(record: impl AsRef<[u8]>) -> Vec<u8> {
    record.as_ref().to_vec()
}

fn main() {}
