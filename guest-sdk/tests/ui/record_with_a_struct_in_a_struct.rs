#[derive(sage_guest::Record)]
struct Point {
    lat: f64,
}

#[derive(sage_guest::Record)]
struct Place {
    #[record(nested)]
    point: Point,
}

#[derive(sage_guest::Record)]
struct Reading {
    #[record(nested)]
    place: Place,
}

fn main() {}
