#[sage_guest::map(ports = ["late"])]
fn same(line: &str) -> &str {
    line
}

fn main() {}
