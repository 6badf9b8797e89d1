//! End-to-end cases as folders, one run for each. `cases/NAME/` holds `pipeline.toml` and its inputs, and
//! `expected/` holds the files that the run must write. `expect.toml` has further expectations; every key is
//! optional:
//!
//! - `exit`: the exit code (0); `arguments`: further arguments; `stderr`: parts of messages; `absent`: files
//!   that must not exist
//! - `unordered`: files whose lines may have any order
//! - `counts`: numbers of the summary, `counts.STAGE.FIELD = n`
//!
//! A `component = "NAME.wasm"` is the guest or sample operator of that name. `stdin.txt` is the content of
//! standard input. `expected/stdout.txt` is the output before the summary. Expected `.jsonl` files name only
//! the fields that matter, line by line; `.gz` files are compared unpacked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sage_tests::{Outcome, Scenario};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    exit: i32,
    arguments: Vec<String>,
    stderr: Vec<String>,
    absent: Vec<String>,
    unordered: Vec<String>,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

#[test]
fn every_case_ends_as_its_folder_says() {
    let only = std::env::var("SAGE_CASE").ok();
    let cases: Vec<PathBuf> = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))
        .into_iter()
        .filter(|path| path.ends_with("pipeline.toml"))
        .map(|path| path.parent().unwrap().to_owned())
        .filter(|case| only.as_ref().is_none_or(|only| case.ends_with(only)))
        .collect();
    assert!(only.is_some() || cases.len() >= 25, "the cases are there: {}", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let found = std::panic::catch_unwind(|| check(case));
        if let Err(failure) = found {
            let text = failure
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| failure.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            failures.push(format!("case {}: {}", case.file_name().unwrap().display(), text.unwrap_or_default()));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

fn check(case: &Path) {
    let scenario = Scenario::new();
    for path in files_below(case) {
        let name = path.strip_prefix(case).unwrap().to_str().unwrap();
        if !name.starts_with("expected/") {
            scenario.file(name, std::fs::read(&path).unwrap());
        }
    }
    link_components(&scenario);
    let expect: Expect =
        scenario.read("expect.toml").map_or_else(Expect::default, |text| toml::from_str(&text).expect("expect.toml"));
    let outcome = match std::fs::read(case.join("stdin.txt")) {
        Ok(input) => scenario.run_fed(&input),
        Err(_) => scenario.run_with(&expect.arguments),
    };
    outcome.expect_exit(expect.exit);
    for part in &expect.stderr {
        outcome.expect_stderr(part);
    }
    for name in &expect.absent {
        assert_eq!(scenario.read(name), None, "{name} must not be there\n{outcome:?}");
    }
    // A run that was refused at its start has no records to account for.
    if expect.exit == 0 || (expect.exit == 4 && outcome.summary()["stages"].is_array()) {
        outcome.expect_conservation();
    }
    for (stage, counts) in &expect.counts {
        for (field, expected) in counts {
            assert_eq!(outcome.stage(stage).count(field), *expected, "{field} of {stage}\n{outcome:?}");
        }
    }
    for path in files_below(&case.join("expected")) {
        let name = path.strip_prefix(case.join("expected")).unwrap().to_str().unwrap().to_owned();
        compare(&scenario, &outcome, &name, &std::fs::read_to_string(&path).unwrap(), expect.unordered.contains(&name));
    }
}

fn compare(scenario: &Scenario, outcome: &Outcome, name: &str, expected: &str, unordered: bool) {
    let found = if name == "stdout.txt" {
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        lines[..lines.len() - 1].iter().map(|line| format!("{line}\n")).collect()
    } else {
        written(scenario, name).unwrap_or_else(|| panic!("{name} was not written\n{outcome:?}"))
    };
    let (mut expected, mut found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    if unordered {
        expected.sort_unstable();
        found.sort_unstable();
    }
    if name.ends_with(".jsonl") {
        assert_eq!(found.len(), expected.len(), "lines of {name}: {found:#?}\n{outcome:?}");
        for (expected, found) in expected.iter().zip(&found) {
            let (expected, found): (Value, Value) =
                (serde_json::from_str(expected).unwrap(), serde_json::from_str(found).unwrap());
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(&found[field], value, "{field:?} in {name}: {found}");
            }
        }
    } else {
        assert_eq!(found, expected, "{name}\n{outcome:?}");
    }
}

/// The text of a file; a file packed with gzip, with or without the ending `.gz`, is unpacked.
fn written(scenario: &Scenario, name: &str) -> Option<String> {
    let packed = std::fs::read(scenario.path().join(format!("{name}.gz"))).ok();
    match packed {
        Some(packed) => {
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(&packed[..]).read_to_string(&mut text).expect("gzip");
            Some(text)
        }
        None => scenario.read(name),
    }
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

/// The files below a folder, sorted; empty if the folder does not exist.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}
