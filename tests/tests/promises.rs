//! docs/design/enforcement.md names a test for each promise, and each of these tests exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every code span between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_name(word: &str, also: char) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == also)
}

/// The names at the end of `a::b::name` and in `a::b::{name, name}`.
fn last_names(span: &str) -> Vec<String> {
    let Some((_, last)) = span.split_once("::") else { return Vec::new() };
    let last = last.rsplit_once("::{").map_or_else(|| last.rsplit("::").next().unwrap_or(last), |(_, names)| names);
    let names = last.trim_start_matches('{').trim_end_matches('}').split(',').map(str::trim);
    names.filter(|name| is_name(name, '_')).map(str::to_owned).collect()
}

fn rust_sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let document = fs::read_to_string(root().join("docs/design/enforcement.md")).unwrap();
    let mut sources = String::new();
    for folder in ["host", "guest-sdk", "tests/tests"] {
        rust_sources(&root().join(folder), &mut sources);
    }
    let tests: BTreeSet<String> = code_spans(&document).flat_map(last_names).collect();
    assert!(tests.len() > 30, "the document names tests: {tests:?}");
    let missing: Vec<_> = tests
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")) && !sources.contains(&format!("mod {name}")))
        .collect();
    assert!(missing.is_empty(), "docs/design/enforcement.md names tests that are not there: {missing:?}");
}

#[test]
fn every_guest_and_case_that_a_promise_names_is_there() {
    let document = fs::read_to_string(root().join("docs/design/enforcement.md")).unwrap();
    let kinds = ["map_", "filter_", "flat_map_", "key_by_", "process_", "source_", "sink_"];
    let guests =
        code_spans(&document).filter(|span| is_name(span, '_') && kinds.iter().any(|kind| span.starts_with(kind)));
    for guest in guests {
        let path = root().join("tests/guests/examples").join(format!("{guest}.rs"));
        assert!(path.exists(), "docs/design/enforcement.md names the guest {guest}, which is not there");
    }
    let lists = document.match_indices("case").filter_map(|(at, _)| document.get(at..)?.split_once(' '));
    for (_, list) in lists.filter(|(word, list)| ["case", "cases"].contains(word) && list.starts_with('`')) {
        let end = list.find([';', '|', '(']).unwrap_or(list.len());
        for case in code_spans(&list[..end]).filter(|span| is_name(span, '-')) {
            assert!(root().join("tests/cases").join(case).is_dir(), "docs/design/enforcement.md names the case {case}");
        }
    }
}
