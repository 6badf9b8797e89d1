use sage_guest::Record;

#[sage_guest::map]
fn key(record: Record<&str>) -> String {
    record.payload.to_owned()
}

fn main() {}
