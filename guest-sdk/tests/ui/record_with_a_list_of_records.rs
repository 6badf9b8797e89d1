#[derive(sage_guest::Record)]
struct Item {
    price: f64,
}

#[derive(sage_guest::Record)]
struct Order {
    items: Vec<Item>,
}

fn main() {}
