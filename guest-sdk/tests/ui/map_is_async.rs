#[sage_guest::map]
async fn fetch(url: &str) -> String {
    url.to_owned()
}

fn main() {}
