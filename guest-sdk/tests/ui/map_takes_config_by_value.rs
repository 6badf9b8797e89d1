#[derive(serde::Deserialize)]
struct Settings {
    prefix: String,
}

#[sage_guest::map]
fn prefixed(line: &str, settings: Settings) -> String {
    settings.prefix + line
}

fn main() {}
