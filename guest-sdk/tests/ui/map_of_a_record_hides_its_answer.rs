#[derive(sage_guest::Record)]
struct Reading {
    celsius: f64,
}

type Result = std::result::Result<Reading, sage_guest::Error>;

#[sage_guest::map]
fn same(reading: Reading) -> Result {
    Ok(reading)
}

fn main() {}
