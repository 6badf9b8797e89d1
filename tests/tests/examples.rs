//! Every example of this repository, run unchanged: a folder of `examples/` is a test. `sage_tests::FolderCase`
//! describes the files of a folder. An example without expected results fails.
//!
//! Each run has a copy of the example in a folder that looks like the root of the repository, because examples name
//! their components, and some of their inputs, by paths that begin with `../..`. Outputs of earlier runs, such as those
//! of `make demo` or `make docs`, stay out of the copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::PathBuf;
use std::process::ExitCode;

use sage_test_support::trials::{Case, folders_in, name_of, run};
use sage_tests::{FolderCase, Scenario, operator, repository};

fn main() -> ExitCode {
    run(2, folders_in(&repository().join("examples")).into_iter().map(example).collect())
}

fn example(folder: PathBuf) -> Case {
    let name = name_of(&folder);
    let case = FolderCase::read(&folder);
    let needs = case.needs();
    let check = move || {
        assert!(case.expects_something(), "{} has no expected/ and no expect.toml", folder.display());
        // Builds the components that examples name by path.
        operator("identity");
        let scenario = Scenario::below(&format!("examples/{}", name_of(&folder)));
        for folder in ["docs", "host", "operators", "wit"] {
            scenario.link_in_root(folder, &repository().join(folder));
        }
        case.copy_to(&scenario);
        remove_outputs(&scenario);
        case.check(&scenario);
    };
    Case::new(name, check).with_needs(needs)
}

/// Removes the files that the pipeline writes: an earlier run of the example may have left them.
fn remove_outputs(scenario: &Scenario) {
    let pipeline: toml::Table = scenario.read("pipeline.toml").unwrap().parse().unwrap();
    let stages = |kind: &str| pipeline.get(kind).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let sinks = stages("sink");
    let of_sinks = sinks.iter().filter_map(|sink| sink.get("file")?.get("path")?.as_str());
    let others = [stages("source"), stages("operator")].concat();
    let letters = sinks.iter().chain(&others).filter_map(|stage| stage.get("on_error")?.get("dead_letter")?.as_str());
    for path in of_sinks.chain(letters) {
        let _ = std::fs::remove_file(scenario.path().join(path));
    }
}
