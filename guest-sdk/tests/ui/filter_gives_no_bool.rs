#[sage_guest::filter]
fn hot(celsius: f64) -> u8 {
    u8::from(celsius > 30.0)
}

fn main() {}
