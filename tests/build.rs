//! Lists the guests, so that a guest without a test does not compile. `each_map_guest!(check)` expands to
//! `check!(name)` for every `guests/examples/map_name.rs`. The other kinds have such a macro too.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=guests/examples");
    let mut names: Vec<String> = std::fs::read_dir("guests/examples")?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    let mut text = String::new();
    for kind in ["map", "filter", "flat_map", "key_by", "process", "window", "source", "sink"] {
        let prefix = format!("{kind}_");
        let _ = writeln!(text, "macro_rules! each_{kind}_guest {{ ($check:ident) => {{");
        names.retain(|name| match name.strip_prefix(&prefix) {
            Some(short) => writeln!(text, "    $check!({short});").is_err(),
            None => true,
        });
        let _ = writeln!(text, "}} }}\npub(crate) use each_{kind}_guest;");
    }
    assert!(names.is_empty(), "guests are named after their kind: {names:?}");
    let folder = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("each_guest.rs"), text)?;
    Ok(())
}
