//! Pipeline files and their results. Each folder of `plan_cases/` is a test: it holds a `pipeline.toml` and an
//! `expected.txt`, which has a summary of the plan, or all errors. `UPDATE_CASES=1 cargo test --test plan_cases`
//! rewrites the expected files. A folder whose name begins with `good-` has a plan, every other has errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

#[allow(dead_code, reason = "another test program uses the rest")]
mod described;

use std::path::Path;
use std::process::ExitCode;

use described::outcome;
use sage_test_support::trials::{Case, folders_in, name_of, run};

fn main() -> ExitCode {
    let folders = folders_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_cases"));
    run(50, folders.into_iter().map(|folder| Case::new(name_of(&folder), move || check(&folder))).collect())
}

fn check(case: &Path) {
    let text = std::fs::read(case.join("pipeline.toml")).unwrap();
    let found = outcome(&text);
    assert_eq!(name_of(case).starts_with("good-"), !found.contains("error:"), "by its name\n{found}");
    let expected_file = case.join("expected.txt");
    if std::env::var_os("UPDATE_CASES").is_some() {
        return std::fs::write(&expected_file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&expected_file).unwrap_or_default();
    assert!(found == expected, "--- expected\n{expected}\n--- found\n{found}");
}
