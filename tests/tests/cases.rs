//! End-to-end cases, one folder and one run for each; `sage_tests::FolderCase` describes the files of a folder.
//! A case is a test of its own: `cargo test --test cases gz` runs those with `gz` in their names.
//!
//! A `component = "NAME.wasm"` is the guest or sample operator of that name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sage_test_support::trials::{Case, folders_in, name_of, run};
use sage_tests::{FolderCase, Scenario};

fn main() -> ExitCode {
    let cases = folders_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")).into_iter().map(case);
    run(60, cases.collect())
}

fn case(folder: PathBuf) -> Case {
    let case = FolderCase::read(&folder);
    let needs = case.needs();
    let check = move || {
        let scenario = Scenario::new();
        case.copy_to(&scenario);
        link_components(&scenario);
        case.check(&scenario);
    };
    Case::new(name_of(&folder), check).with_needs(needs)
}

/// Links every component that the pipeline names into the scenario's folder.
fn link_components(scenario: &Scenario) {
    let text = scenario.read("pipeline.toml").unwrap();
    let named = text.split('"').filter_map(|part| part.strip_suffix(".wasm"));
    let guests = sage_tests::guest_names();
    for name in named {
        let link = scenario.path().join(format!("{name}.wasm"));
        if link.exists() || name == MISSING {
            continue;
        }
        let is_guest = guests.iter().any(|guest| guest == name);
        let component = if is_guest { sage_tests::guest(name) } else { sage_tests::operator(name) };
        std::os::unix::fs::symlink(component, link).unwrap();
    }
}

/// Name of a component that does not exist.
const MISSING: &str = "nowhere";
