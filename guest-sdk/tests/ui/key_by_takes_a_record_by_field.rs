#[derive(sage_guest::Record)]
struct Reading<'a> {
    sensor: &'a str,
}

#[sage_guest::key_by]
fn sensor(reading: Reading) -> String {
    reading.sensor.to_owned()
}

fn main() {}
