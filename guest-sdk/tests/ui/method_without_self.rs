struct Upper;

#[sage_guest::map]
impl Upper {
    fn map(line: &str) -> String {
        line.to_uppercase()
    }
}

fn main() {}
