#[derive(sage_guest::Record)]
struct Place<'a> {
    tags: sage_guest::fields::List<'a, &'a str>,
}

#[derive(sage_guest::Record)]
struct Reading<'a> {
    #[record(nested)]
    place: Option<Place<'a>>,
}

fn main() {}
