//! Pipelines, components and results of released versions. Every later version gives the same results. A folder
//! `compatibility/VERSION/NAME` is a test. `sage_tests::FolderCase` describes its files; the components are the
//! committed files of `compatibility/VERSION/components`, and nothing builds them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sage_test_support::trials::{Case, folders_in, name_of, run};
use sage_tests::{FolderCase, Scenario};

/// Folder of the components of a version, which is not a case.
const COMPONENTS: &str = "components";

fn main() -> ExitCode {
    let versions = folders_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("compatibility"));
    let cases = versions.iter().flat_map(|version| folders_in(version));
    run(6, cases.filter(|folder| !folder.ends_with(COMPONENTS)).map(case).collect())
}

fn case(folder: PathBuf) -> Case {
    let version = folder.parent().unwrap().to_owned();
    let name = format!("{}/{}", name_of(&version), name_of(&folder));
    let case = FolderCase::read(&folder);
    let needs = case.needs();
    let check = move || {
        assert!(case.expects_something(), "{} has no expected/ and no expect.toml", folder.display());
        let scenario = Scenario::below(&name_of(&folder));
        scenario.link_in_root(COMPONENTS, &version.join(COMPONENTS));
        case.copy_to(&scenario);
        case.check(&scenario);
    };
    Case::new(name, check).with_needs(needs)
}
