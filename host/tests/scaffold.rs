//! A crate from `sage-host new` passes its own test, builds to an operator of the chosen kind, and runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A kind of operator and the output of its pipeline on stdout, sorted if the order is not defined.
struct Kind {
    name: &'static str,
    output: &'static [&'static str],
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "map",
        output: &[
            r#"{"station":"KJFK","celsius":5.0}"#,
            r#"{"station":"KLGA","celsius":4.0}"#,
            r#"{"station":"KEWR","celsius":-2.0}"#,
            r#"{"station":"KJFK","celsius":10.0}"#,
            r#"{"station":"KLGA","celsius":0.0}"#,
            r#"{"station":"KEWR","celsius":17.0}"#,
        ],
    },
    Kind {
        name: "filter",
        output: &[
            r#"{"station":"KJFK","fahrenheit":41.0}"#,
            r#"{"station":"KJFK","fahrenheit":50.0}"#,
            r#"{"station":"KEWR","fahrenheit":62.6}"#,
        ],
    },
    Kind { name: "flat-map", output: &["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"] },
    Kind {
        name: "key-by",
        output: &[
            r#"{"station":"KJFK","fahrenheit":41.0}"#,
            r#"{"station":"KLGA","fahrenheit":39.2}"#,
            r#"{"station":"KEWR","fahrenheit":28.4}"#,
            r#"{"station":"KJFK","fahrenheit":50.0}"#,
            r#"{"station":"KLGA","fahrenheit":32.0}"#,
            r#"{"station":"KEWR","fahrenheit":62.6}"#,
        ],
    },
    // The generator chooses the keys. The test below checks the sums.
    Kind { name: "process", output: &[] },
    Kind {
        name: "source",
        output: &["0", "1", "1", "2", "3", "5", "8", "13", "21", "34", "55", "89", "144", "233", "377", "610", "987"],
    },
    Kind { name: "sink", output: &[] },
];

fn sage_host(folder: &Path, words: &[&str], target: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sage-host"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        // Native tests of all crates share one target folder.
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap()
}

fn succeeded(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what} failed ({})\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn require_wasm_target() {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", "wasm32-wasip2"]).output().unwrap();
    let libraries = PathBuf::from(String::from_utf8_lossy(&rustc.stdout).trim());
    assert!(libraries.is_dir(), "the Rust target wasm32-wasip2 is missing: run `make setup`");
}

/// Generates, tests and builds a crate, and copies the component to the path in its pipeline file.
fn made(folder: &Path, kind: &str, sdk: Option<&str>, target: &Path) -> PathBuf {
    let name = format!("my-{kind}");
    let place = folder.join(&name);
    let mut words = vec!["new", &name, "--kind", kind];
    words.extend(sdk.iter().flat_map(|sdk| ["--sdk", sdk]));
    succeeded("new", &sage_host(folder, &words, target));
    // Uses the dependency versions of this repository.
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"), place.join("Cargo.lock")).unwrap();

    let formatted = Command::new("cargo").args(["fmt", "--check"]).current_dir(&place).output().unwrap();
    succeeded("cargo fmt --check", &formatted);

    let tested = sage_host(&place, &["test"], target);
    succeeded("test", &tested);
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(said.contains("test result: ok.") && !said.starts_with("\nrunning 0 tests"), "{kind} has no test:\n{said}");

    let words = ["build", "--output", "json", "--", "--target-dir", target.to_str().unwrap()];
    let built = sage_host(&place, &words, target);
    succeeded("build", &built);
    let warnings = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(!warnings.contains("warning:"), "a new crate should not begin with warnings:\n{warnings}");
    let report: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(report["built"][0]["kind"], kind, "{report}");

    let component = Path::new(report["built"][0]["component"].as_str().unwrap());
    let release = place.join("target/wasm32-wasip2/release");
    fs::create_dir_all(&release).unwrap();
    fs::copy(component, release.join(component.file_name().unwrap())).unwrap();
    place
}

#[test]
fn every_kind_passes_its_test_builds_and_runs() {
    require_wasm_target();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk").canonicalize().unwrap();
    for Kind { name, output } in KINDS {
        // One crate has a copy of the SDK, as users get it. The others share one SDK, which is compiled once.
        let sdk = (name != "map").then(|| sdk.to_str().unwrap());
        let place = made(folder.path(), name, sdk, &target);
        assert_eq!(place.join("vendor/sage-guest/src/lib.rs").is_file(), sdk.is_none());

        let leases = folder.path().join("leases");
        let ran = sage_host(&place, &["run", "pipeline.toml", "--lease-folder", leases.to_str().unwrap()], &target);
        succeeded("run", &ran);
        let written = String::from_utf8(ran.stdout).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        match name {
            "process" => {
                let records: u64 = lines
                    .iter()
                    .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["records"].as_u64().unwrap())
                    .sum();
                assert_eq!((lines.len(), records), (8, 10_000), "{written}");
            }
            "sink" => {
                let received = fs::read_to_string(place.join("out/received.jsonl")).unwrap();
                assert_eq!(received, fs::read_to_string(place.join("readings.jsonl")).unwrap());
            }
            _ => assert_eq!(lines, output, "{name}"),
        }
    }
}

#[test]
fn an_sdk_that_is_none_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/Cargo.toml"), "[package]\nname = \"other\"\n").unwrap();
    for (sdk, reason) in [("other", "the crate there is other"), ("nowhere", "Cargo.toml: No such file")] {
        let refused = sage_host(folder.path(), &["new", "far", "--kind", "map", "--sdk", sdk], folder.path());
        assert_eq!(refused.status.code(), Some(2));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains(reason), "{words}");
        assert!(!folder.path().join("far").exists());
    }
}
