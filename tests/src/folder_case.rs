use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sage_test_support::Need;
use serde::Deserialize;
use serde_json::Value;

use crate::{Outcome, Scenario};

/// A run as a folder: `pipeline.toml`, its inputs, and the expected results.
///
/// - `stdin.txt`: the content of standard input
/// - `expected/`: the files that the run must write; `expected/stdout.txt` is the output before the summary, and
///   `expected/summary.json` has fields that the summary must have. An expected `.jsonl` file names only the fields
///   that matter, line by line; `.gz` files are compared unpacked.
/// - `expect.toml`: further expectations, all of them optional
///     - `exit`: the exit code (0); `arguments`: further arguments; `stderr`: parts of messages
///     - `absent`: files that must not exist; `unordered`: files whose lines may have any order; `within`: `.jsonl`
///       files that may have further lines, in any order
///     - `counts`: numbers of the summary, `counts.STAGE.FIELD = n`
///     - `needs`: words of needs of the machine, as in `SAGE_TEST_REQUIRE`
#[derive(Debug)]
pub struct FolderCase {
    folder: PathBuf,
    expect: Expect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    exit: i32,
    arguments: Vec<String>,
    stderr: Vec<String>,
    absent: Vec<String>,
    unordered: Vec<String>,
    within: Vec<String>,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    needs: Vec<String>,
}

impl FolderCase {
    /// Reads the expectations of a folder.
    pub fn read(folder: &Path) -> Self {
        let expect = std::fs::read_to_string(folder.join("expect.toml")).map_or_else(
            |_| Expect::default(),
            |text| toml::from_str(&text).unwrap_or_else(|e| panic!("{}: expect.toml: {e}", folder.display())),
        );
        Self { folder: folder.to_owned(), expect }
    }

    /// Needs of the machine.
    pub fn needs(&self) -> Vec<Need> {
        let words = self.expect.needs.iter();
        words.map(|word| Need::from_word(word).unwrap_or_else(|| panic!("needs: {word:?}"))).collect()
    }

    /// Whether the folder says anything about the results of the run.
    pub fn expects_something(&self) -> bool {
        let Expect { exit, stderr, absent, counts, .. } = &self.expect;
        let says = *exit != 0 || !stderr.is_empty() || !absent.is_empty() || !counts.is_empty();
        says || !files_below(&self.folder.join("expected")).is_empty()
    }

    /// Copies the folder, without `expected/`, into the scenario.
    pub fn copy_to(&self, scenario: &Scenario) {
        for path in files_below(&self.folder) {
            let name = path.strip_prefix(&self.folder).unwrap().to_str().unwrap();
            if !name.starts_with("expected/") {
                scenario.file(name, std::fs::read(&path).unwrap());
            }
        }
    }

    /// Runs the pipeline of the scenario, and panics unless the results are the expected ones.
    pub fn check(&self, scenario: &Scenario) {
        let expect = &self.expect;
        let input = std::fs::read(self.folder.join("stdin.txt")).ok();
        let outcome = scenario.run_fed_with(input, &expect.arguments);
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
        let folder = self.folder.join("expected");
        for path in files_below(&folder) {
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
            let expected = std::fs::read_to_string(&path).unwrap();
            self.compare(scenario, &outcome, name, &expected);
        }
    }

    fn compare(&self, scenario: &Scenario, outcome: &Outcome, name: &str, expected: &str) {
        let found = match name {
            "summary.json" => {
                let expected: Value = serde_json::from_str(expected).expect("summary.json");
                return expect_within(&outcome.summary(), &expected, "summary");
            }
            "stdout.txt" => {
                let lines: Vec<&str> = outcome.stdout.lines().collect();
                lines[..lines.len() - 1].iter().map(|line| format!("{line}\n")).collect()
            }
            name => written(scenario, name).unwrap_or_else(|| panic!("{name} was not written\n{outcome:?}")),
        };
        let (mut expected, mut found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
        if self.expect.unordered.iter().any(|unordered| unordered == name) {
            expected.sort_unstable();
            found.sort_unstable();
        }
        if !name.ends_with(".jsonl") {
            return assert_eq!(found, expected, "{name}\n{outcome:?}");
        }
        let [found, expected] = [found, expected].map(|lines| lines.into_iter().map(json).collect::<Vec<Value>>());
        if self.expect.within.iter().any(|within| within == name) {
            for expected in &expected {
                assert!(found.iter().any(|found| differs(found, expected).is_none()), "{name} has no line {expected}");
            }
            return;
        }
        assert_eq!(found.len(), expected.len(), "lines of {name}: {found:#?}\n{outcome:?}");
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(differs(found, expected), None, "{name}: {found}, expected {expected}\n{outcome:?}");
        }
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?} is not JSON: {e}"))
}

/// The first field of `expected` that `found` does not have with the same value.
fn differs<'a>(found: &Value, expected: &'a Value) -> Option<&'a str> {
    let fields = expected.as_object().expect("an object");
    fields.iter().find_map(|(field, value)| (&found[field] != value).then_some(field.as_str()))
}

/// Panics unless `found` has every field of `expected`, with its value. Arrays have equal lengths.
fn expect_within(found: &Value, expected: &Value, path: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (field, expected) in expected {
                let found = found.get(field).unwrap_or_else(|| panic!("{path} has no field {field:?}: {found:#?}"));
                expect_within(found, expected, &format!("{path}.{field}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "length of {path}");
            for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
                expect_within(found, expected, &format!("{path}[{number}]"));
            }
        }
        _ => assert_eq!(found, expected, "{path}"),
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
