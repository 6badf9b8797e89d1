//! The copy of the contract in `guest-sdk/wit` equals the contract in `wit`.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "only tests call it")]

use std::collections::BTreeMap;
use std::path::Path;

fn contract(folder: &Path) -> BTreeMap<String, String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

#[test]
fn the_copy_of_the_contract_is_the_contract() {
    // Cargo runs tests in the folder of the package. A path from build time may belong to another clone.
    let copy = contract(Path::new("wit"));
    let original = contract(Path::new("../wit"));
    assert!(original.contains_key("worlds.wit"));
    assert!(copy == original, "guest-sdk/wit differs from wit: run `cp wit/* guest-sdk/wit/`");
}
