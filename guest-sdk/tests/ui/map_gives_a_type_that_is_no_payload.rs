struct Reading {
    celsius: f64,
}

#[sage_guest::map]
fn parse(celsius: f64) -> Reading {
    Reading { celsius }
}

fn main() {}
