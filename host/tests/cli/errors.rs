use std::fs;

use crate::program::sage_host;

/// A pipeline with a source that generates records and a sink that discards them. Cases append to it.
const PIPELINE: &str = r#"
[[source]]
name = "made-up"
generate = { count = 10 }

[[sink]]
name = "out"
input = "made-up"
discard = {}
"#;

/// A pipeline with an input file that does not exist.
const NO_INPUT: &str = r#"
[[source]]
name = "lines"
file = { path = "nowhere-*.txt" }

[[sink]]
name = "out"
input = "lines"
discard = {}
"#;

/// A pipeline with a component that does not exist.
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

/// A pipeline with resource names of other systems and with malformed numbers.
const BAD_RESOURCES: &str = r#"
[[source]]
name = "made-up"
generate = { count = 10 }

[[operator]]
name = "parse"
component = "nowhere.wasm"
input = "made-up"
resources = { cpus = 1, mem = "1GB", gpu = 1, num_cpus = -5, memory = "32MiB " }
limits = { cpu_time_per_call = "0s", call_timeout = "5", record_bytes = 8e7 }

[[operator]]
name = "more"
component = "nowhere.wasm"
input = "parse"
resources = { num_cpus = 1e300, memory = 0 }

[[sink]]
name = "out"
input = "more"
discard = {}
"#;

/// A pipeline with a Windows path.
const WINDOWS_PATH: &str = "[[source]]\nname = \"in\"\nfile = { path = \"C:\\data\\in.csv\" }\n\n\
    [[sink]]\nname = \"out\"\ninput = \"in\"\ndiscard = {}\n";

/// A host file that offers and reserves more than any machine has.
const LARGE_HOST: &str = "memory = \"8000TiB\"\n[reserve]\ncpus = 100000\nmemory = \"9000TiB\"\n";

/// A host file with a device of an unknown kind.
const TPU_HOST: &str = "[[device]]\nname = \"t0\"\nkind = \"tpu\"\n";

/// A host file with malformed values.
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
    fs::write(folder.path().join("bad_resources.toml"), BAD_RESOURCES).unwrap();
    fs::write(folder.path().join("windows_path.toml"), WINDOWS_PATH).unwrap();
    let utf16: Vec<u8> = PIPELINE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("utf16.toml"), [b"\xff\xfe".to_vec(), utf16].concat()).unwrap();
    fs::write(folder.path().join("component.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    fs::write(folder.path().join("tpu_host.toml"), TPU_HOST).unwrap();
    let cases: [(&str, &[&str], i32); 28] = [
        ("bad_resources", &["validate", "bad_resources.toml"], 2),
        ("windows_path", &["validate", "windows_path.toml"], 2),
        ("utf16_pipeline", &["run", "utf16.toml"], 2),
        ("component_as_pipeline", &["run", "component.wasm"], 2),
        ("tpu_host", &["validate", "fine.toml", "--host", "tpu_host.toml"], 2),
        ("metrics_without_port", &["run", "fine.toml", "--metrics", "localhost"], 2),
        ("bad_drain_timeout", &["run", "fine.toml", "--drain-timeout", "soon"], 2),
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

/// These messages contain the machine's own numbers, so they are no snapshot.
#[test]
fn a_host_file_that_gives_away_or_keeps_what_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fine.toml"), PIPELINE).unwrap();
    fs::write(folder.path().join("large.toml"), LARGE_HOST).unwrap();
    let ran = sage_host(folder.path(), &["validate", "fine.toml", "--host", "large.toml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.transcript());
    for part in [
        "host.toml gives away 8000TiB of memory, this process may use ",
        "host.toml keeps cpus = 100000 for the host, this process may use ",
        "host.toml keeps memory = 9000TiB for the host, this process may use ",
        "hint: correct memory in host.toml",
        "hint: lower memory in [reserve] of host.toml",
    ] {
        assert!(ran.stderr.contains(part), "{part}\n{}", ran.transcript());
    }
}

#[test]
fn shells_complete_what_the_command_line_has() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = sage_host(folder.path(), &["completions", shell]);
        assert_eq!(ran.code, Some(0), "{}", ran.transcript());
        for word in ["drain-timeout", "inspect", "lease-folder"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
        // Completions leave hidden commands out.
        assert!(!ran.stdout.contains("examine-model"), "{shell}");
    }
}

#[test]
fn the_schemas_are_printed_for_editors() {
    let folder = tempfile::tempdir().unwrap();
    for (file, key) in [("pipeline", "operator"), ("host", "lease_folder")] {
        let ran = sage_host(folder.path(), &["schema", file]);
        assert_eq!(ran.code, Some(0), "{}", ran.transcript());
        let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-04/schema#");
        assert!(schema["properties"][key].is_object(), "{file}");
    }
    assert_eq!(sage_host(folder.path(), &["schema", "tenant"]).code, Some(2));
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
        assert_ne!(ran.stderr, "", "stderr has a message for people too");
    }
}
