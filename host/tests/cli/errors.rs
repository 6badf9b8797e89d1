use std::fs;

use crate::program::sage_host;

/// A source whose records go nowhere, but for what a case adds.
const PIPELINE: &str = r#"
[[source]]
name = "made-up"
generate = { count = 10 }

[[sink]]
name = "out"
input = "made-up"
discard = {}
"#;

/// Reads what is not there.
const NO_INPUT: &str = r#"
[[source]]
name = "lines"
file = { path = "nowhere-*.txt" }

[[sink]]
name = "out"
input = "lines"
discard = {}
"#;

/// Runs what is not there.
const NO_COMPONENT: &str = r#"
[[source]]
name = "made-up"
generate = { count = 10 }

[[operator]]
name = "parse"
component = "nowhere.wasm"
input = "made-up"

[[sink]]
name = "out"
input = "parse"
discard = {}
"#;

/// Gives away what cannot be.
const BAD_HOST: &str = r#"
slice = "a//b"
cpus = "3-0"
[tenant.blue]
memory = "lots"
resources = { licence = 1 }
"#;

#[test]
fn what_cannot_be_done_is_said_with_its_exit_code_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fine.toml"), PIPELINE).unwrap();
    fs::write(folder.path().join("text.wasm"), "no component").unwrap();
    fs::write(folder.path().join("text.onnx"), "").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("no_input.toml"), NO_INPUT).unwrap();
    fs::write(folder.path().join("no_component.toml"), NO_COMPONENT).unwrap();
    fs::write(folder.path().join("tenants.toml"), "[tenant.blue]\n[tenant.green]\ncpus = 2\n").unwrap();
    fs::write(folder.path().join("bad_host.toml"), BAD_HOST).unwrap();
    let cases: [(&str, &[&str], i32); 21] = [
        ("unknown_command", &["frobnicate"], 2),
        ("unknown_option", &["run", "fine.toml", "--num-cpus", "2"], 2),
        ("missing_argument", &["run"], 2),
        ("bad_metrics_address", &["run", "fine.toml", "--metrics", "9464"], 2),
        ("missing_pipeline", &["run", "nowhere.toml"], 2),
        ("missing_input", &["run", "no_input.toml"], 2),
        ("missing_component", &["run", "no_component.toml"], 2),
        ("missing_host_file", &["run", "fine.toml", "--host", "host.toml"], 2),
        ("unknown_tenant", &["run", "fine.toml", "--host", "tenants.toml"], 3),
        ("bad_tenant_name", &["run", "fine.toml", "--tenant", "../blue"], 2),
        ("bad_wait", &["run", "fine.toml", "--wait", "5"], 2),
        ("wait_to_explain", &["run", "fine.toml", "--wait", "5s", "--explain"], 2),
        ("bad_host_file", &["validate", "fine.toml", "--host", "bad_host.toml"], 2),
        ("inspect_missing", &["inspect", "nowhere.wasm"], 2),
        ("inspect_not_a_component", &["inspect", "text.wasm"], 2),
        ("inspect_missing_model", &["inspect", "nowhere.onnx"], 2),
        ("inspect_not_a_model", &["inspect", "text.onnx"], 2),
        ("build_without_crate", &["build", "empty"], 2),
        ("new_bad_name", &["new", "1st", "--kind", "map"], 2),
        ("new_unknown_kind", &["new", "first", "--kind", "mop"], 2),
        ("new_over_a_folder", &["new", "empty", "--kind", "map"], 2),
    ];
    for (name, words, code) in cases {
        let ran = sage_host(folder.path(), words);
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.transcript());
        assert_eq!(ran.stdout, "", "{name}: an error went to stdout");
        insta::assert_snapshot!(name, ran.transcript());
    }
}

#[test]
fn everything_wrong_with_a_pipeline_is_said_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = r#"
[[source]]
name = "made-up"
generate = { count = 10, sped = 3 }

[[sink]]
name = "out"
input = "made-op"
discard = {}

[[sink]]
name = "out"
input = "made-up"
file = { path = "x.jsonl" }
"#;
    fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    for command in ["validate", "run"] {
        let ran = sage_host(folder.path(), &[command, "wrong.toml"]);
        assert_eq!(ran.code, Some(2), "{}", ran.transcript());
        insta::assert_snapshot!("wrong_pipeline", ran.transcript());
    }
}

#[test]
fn with_json_an_error_is_an_object_on_stdout_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fine.toml"), PIPELINE).unwrap();
    fs::write(folder.path().join("tenants.toml"), "[tenant.blue]\n").unwrap();
    let cases: [(&[&str], u8); 4] = [
        (&["inspect", "nowhere.wasm", "--output", "json"], 2),
        (&["validate", "nowhere.toml", "--output", "json"], 2),
        (&["run", "fine.toml", "--output", "json", "--host", "tenants.toml"], 3),
        (&["run", "--nonsense", "--output=json"], 2),
    ];
    for (words, code) in cases {
        let ran = sage_host(folder.path(), words);
        assert_eq!(ran.code, Some(code.into()), "{}", ran.transcript());
        let error = ran.error();
        assert_eq!(error["exit_code"], code, "{}", ran.transcript());
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", ran.transcript());
        assert_ne!(ran.stderr, "", "people get words all the same");
    }
}
