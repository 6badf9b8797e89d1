struct Words(Vec<String>);

#[sage_guest::flat_map]
fn words(line: &str) -> Words {
    Words(line.split(' ').map(str::to_owned).collect())
}

fn main() {}
