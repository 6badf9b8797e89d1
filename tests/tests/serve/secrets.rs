use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sage_tests::{guest, operator, program};
use serde_json::Value;

use super::over_tcp::{ask_as, done_as, run_as, token};
use super::serving::{Serving, text};

/// A value that stands nowhere else.
const VALUE: &str = "hunter2-9f1c5e77";
const RENEWED: &str = "hunter3-0b2d6a88";

/// A pipeline whose operator writes its configuration into the output.
fn telling(config: &str) -> String {
    format!(
        "[[source]]\nname = \"in\"\ngenerate = {{ count = 1, payload_bytes = 16 }}\n\
         [[operator]]\nname = \"tells\"\ncomponent = \"tells.wasm\"\ninput = \"in\"\nconfig = {config}\n\
         [[sink]]\nname = \"out\"\ninput = \"tells\"\nfile = {{ path = \"out.txt\" }}\n"
    )
}

fn set(serving: &Serving, token: &str, name: &str, value: &str) -> Output {
    let mut command = Command::new(program());
    command.args(["secret", "set", name, "--server", &format!("http://{}", serving.tcp())]);
    command.env("SAGE_HOST_TOKEN", token).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn tenants(host: &str) -> (Serving, [String; 3]) {
    let mut serving = Serving::with_host(&format!("{host}[tenant.blue]\n[tenant.green]\n"));
    serving.start();
    let tokens = [("blue", "tenant-admin"), ("blue", "deploy"), ("green", "tenant-admin")];
    let tokens = tokens.map(|(tenant, role)| token(&serving, &["--tenant", tenant, "--role", role]));
    serving.file("tells.wasm", fs::read(guest("map_tells_its_context")).unwrap());
    (serving, tokens)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

fn has(bytes: &[u8], value: &str) -> bool {
    bytes.windows(value.len()).any(|window| window == value.as_bytes())
}

#[test]
fn an_operator_gets_the_value_of_a_secret_and_nothing_else_has_it() {
    let (mut serving, [admin, deploy, _]) = tenants("");
    let output = set(&serving, &admin, "db-password", &format!("{VALUE}\n"));
    assert!(output.status.success(), "{}", said(&output));
    let pipeline = serving.file("p.toml", telling("{ url = \"x\", password = { secret = \"db-password\" } }"));
    let mut answers: Vec<u8> = Vec::new();
    for words in [
        &["submit", text(&pipeline), "--dry-run", "--output", "json"][..],
        &["submit", text(&pipeline), "--name", "tells", "--wait", "done", "--output", "json"],
    ] {
        let output = run_as(&serving, &deploy, words);
        assert!(output.status.success(), "{}{}", said(&output), serving.log());
        answers.extend([output.stdout, output.stderr].concat());
    }
    let out = serving.path("state/data/blue/out.txt");
    let told = fs::read_to_string(&out).unwrap();
    assert!(told.contains(&format!("\"password\":\"{VALUE}\"")), "{told}");
    for path in ["", "/status", "/explain", "/graph", "/logs", "/events", "/metrics"] {
        answers.extend(ask_as(&serving, &deploy, "GET", &format!("/v1/jobs/tells{path}"), "").body.into_bytes());
    }
    for path in ["/v1/secrets", "/v1/jobs", "/v1/tenants/blue", "/v1/events?follow=false"] {
        answers.extend(ask_as(&serving, &admin, "GET", path, "").body.into_bytes());
    }
    answers.extend(serving.done(&["audit", "--output", "json"]).into_bytes());
    answers.extend(serving.done(&["explain", "tells", "--tenant", "blue"]).into_bytes());
    assert!(has(&answers, "db-password") && !has(&answers, VALUE));
    // Its own file alone has it, and only the user of the server reads that.
    let holders: Vec<PathBuf> = files(&serving.path(""))
        .into_iter()
        .filter(|path| *path != out && has(&fs::read(path).unwrap(), VALUE))
        .collect();
    let [holder] = holders.as_slice() else { panic!("{holders:?}") };
    assert!(holder.starts_with(serving.path("state/tenants/blue/secrets")), "{}", holder.display());
    assert_eq!(fs::metadata(holder).unwrap().permissions().mode() & 0o777, 0o600);
    // The next attempt has a new value, also after another server has started.
    assert!(set(&serving, &admin, "db-password", RENEWED).status.success());
    assert!(serving.stop().success());
    serving.start();
    done_as(&serving, &deploy, &["start", "tells"]);
    sage_test_support::wait_until("the job ran again", || {
        fs::read_to_string(&out).ok().filter(|told| told.contains(RENEWED)).map(drop)
    });
}

#[test]
fn a_secret_belongs_to_its_tenant_and_a_pipeline_without_it_is_refused_with_its_place() {
    let (serving, [blue, deploy, green]) = tenants("");
    assert!(set(&serving, &blue, "key", VALUE).status.success());
    let output = set(&serving, &deploy, "other", VALUE);
    assert!(said(&output).contains("this needs the role tenant-admin"), "{}", said(&output));
    let listed: Value = ask_as(&serving, &deploy, "GET", "/v1/secrets", "").json();
    assert_eq!(listed["secrets"][0]["name"], "key");
    assert_eq!(ask_as(&serving, &green, "GET", "/v1/secrets", "").json()["secrets"], Value::Array(Vec::new()));
    assert_eq!(ask_as(&serving, &green, "DELETE", "/v1/secrets/key", "").status, 404);
    let pipeline = serving.file("p.toml", telling("{ key = { secret = \"key\" } }"));
    for (token, config, says) in [
        (&green, "{ key = { secret = \"key\" } }", "there is no secret \"key\""),
        (&deploy, "{ key = { secret = \"kee\" } }", "there is no secret \"kee\""),
        (&deploy, "{ key = { env = \"HOME\" } }", "{ env = \"HOME\" } would be a variable of the server"),
        (&deploy, "{ key = [{ file = \"/etc/passwd\" }] }", "{ file = \"/etc/passwd\" } would be a file of the server"),
    ] {
        fs::write(&pipeline, telling(config)).unwrap();
        let output = run_as(&serving, token, &["submit", text(&pipeline), "--name", "x"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(says) && said(&output).contains('^'), "{config}: {}", said(&output));
        assert!(said(&output).contains("sage-host secret"), "{}", said(&output));
    }
    for (name, value, says) in [("../x", VALUE, "is no name for a secret"), ("empty", "\n", "has no value of 1 to")] {
        let output = set(&serving, &blue, name, value);
        assert!(output.status.code() == Some(2) && said(&output).contains(says), "{}", said(&output));
    }
    assert_eq!(ask_as(&serving, &blue, "PUT", "/v1/secrets/%2e%2e%2fx", "v").code(), "bad-name");
    assert_eq!(ask_as(&serving, &blue, "PUT", "/v1/secrets/x", &"v".repeat((64 << 10) + 1)).code(), "bad-secret");
    // A secret that is gone keeps the job from its next start.
    fs::write(&pipeline, telling("{ key = { secret = \"key\" } }")).unwrap();
    done_as(&serving, &deploy, &["submit", text(&pipeline), "--name", "needs", "--wait", "done"]);
    done_as(&serving, &blue, &["secret", "rm", "key"]);
    done_as(&serving, &deploy, &["start", "needs"]);
    let failed = sage_test_support::wait_until("the job fails", || {
        let job = ask_as(&serving, &deploy, "GET", "/v1/jobs/needs", "").json();
        (job["state"] == "failed" || job["state"] == "rejected").then_some(job)
    });
    assert!(failed["end"].to_string().contains("there is no secret"), "{failed}");
}

#[test]
fn a_value_that_a_component_does_not_take_is_not_shown() {
    // The cache of compiled components is shared then, and the component is compiled once for all tests.
    let (serving, [admin, deploy, _]) = tenants("[serve]\nusers = \"server\"\n");
    serving.file("tells.wasm", fs::read(operator("sensor_totals")).unwrap());
    assert!(set(&serving, &admin, "above", VALUE).status.success());
    let pipeline = "[[source]]\nname = \"in\"\nfile = { path = \"in.jsonl\", format = \"jsonl\" }\n\
        [[operator]]\nname = \"sums\"\ncomponent = \"tells.wasm\"\ninput = \"in\"\n\
        config = { above = { secret = \"above\" } }\n\
        [[sink]]\nname = \"out\"\ninput = \"sums\"\ndiscard = {}\n";
    let pipeline = serving.file("p.toml", pipeline);
    serving.file("state/data/blue/in.jsonl", "");
    let output = run_as(&serving, &deploy, &["submit", text(&pipeline), "--name", "x", "--wait", "done"]);
    assert!(!output.status.success());
    let words = said(&output);
    assert!(words.contains("the value of { secret = \"above\" } is not one that config of"), "{words}");
    assert!(!words.contains(VALUE), "{words}");
    assert!(!files(&serving.path("state/jobs")).iter().any(|path| has(&fs::read(path).unwrap(), VALUE)));
}

#[test]
fn a_run_reads_variables_and_files_and_knows_no_secrets_of_a_server() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tells.wasm"), fs::read(guest("map_tells_its_context")).unwrap()).unwrap();
    fs::write(folder.path().join("key.txt"), format!("{VALUE}\n")).unwrap();
    let pipeline = folder.path().join("p.toml");
    let run = |config: &str, words: &[&str]| {
        fs::write(&pipeline, telling(config)).unwrap();
        let mut command = Command::new(program());
        command.arg(words[0]).arg(&pipeline).args(&words[1..]).env("SAGE_TEST_KEY", RENEWED).output().unwrap()
    };
    let config = "{ file = { file = \"key.txt\" }, inner = [{ env = \"SAGE_TEST_KEY\" }] }";
    let output = run(config, &["run"]);
    assert!(output.status.success(), "{}", said(&output));
    let told = fs::read_to_string(folder.path().join("out.txt")).unwrap();
    assert!(told.contains(VALUE) && told.contains(RENEWED), "{told}");
    for words in [&["run", "--explain"][..], &["validate", "--output", "json"]] {
        let output = run(config, words);
        assert!(output.status.success(), "{}", said(&output));
        assert!(!has(&[output.stdout, output.stderr].concat(), VALUE), "{words:?}");
    }
    for (config, says) in [
        ("{ key = { secret = \"key\" } }", "the secret \"key\" is known to a server only"),
        ("{ key = { env = \"SAGE_TEST_NOT_SET\" } }", "the variable SAGE_TEST_NOT_SET is not set"),
        ("{ key = { file = \"none.txt\" } }", "none.txt"),
    ] {
        let output = run(config, &["run"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(says) && said(&output).contains('^'), "{}", said(&output));
    }
}
