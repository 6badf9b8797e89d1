use serde_json::Value;

use super::over_tcp::{ask_as, done_as, run_as, token};
use super::serving::{ENDLESS, Serving, generating, text};

#[test]
fn tenants_have_names_jobs_files_and_events_of_their_own() {
    let mut serving = Serving::with_host("[tenant.blue]\n[tenant.green]\n[tenant.default]\n");
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    let pipeline = serving.file("p.toml", ENDLESS);
    for token in [&blue, &green] {
        done_as(&serving, token, &["submit", text(&pipeline), "--name", "same", "--wait", "running"]);
    }
    serving.done(&["submit", text(&pipeline), "--name", "mine", "--wait", "running"]);
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "secret", "--wait", "running"]);
    let names = |token: &str| -> Vec<String> {
        let listed: Value = serde_json::from_str(&done_as(&serving, token, &["ps", "--output", "json"])).unwrap();
        listed["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&green), ["same"]);
    assert_eq!(names(&blue).len(), 2);
    for path in ["", "/status", "/explain", "/metrics", "/logs", "/events"] {
        for name in ["secret", "mine"] {
            let answer = ask_as(&serving, &green, "GET", &format!("/v1/jobs/{name}{path}"), "");
            assert_eq!((answer.status, answer.code().as_str()), (404, "no-such-job"), "{name}{path}: {answer:?}");
        }
    }
    for verb in ["stop", "savepoint", "start", "restart"] {
        assert_eq!(ask_as(&serving, &green, "POST", &format!("/v1/jobs/secret/{verb}"), "").code(), "no-such-job");
    }
    assert_eq!(ask_as(&serving, &green, "DELETE", "/v1/jobs/secret", "").code(), "no-such-job");
    let events = done_as(&serving, &green, &["events"]);
    assert!(events.contains("same") && !events.contains("secret") && !events.contains("mine"), "{events}");
    // The stop of one tenant's job leaves the other's of the same name alone.
    done_as(&serving, &green, &["stop", "same", "--abort"]);
    assert_eq!(names(&green).len(), 0);
    assert_eq!(names(&blue).len(), 2);
    // The owner sees all, and names the tenant whose job is meant.
    let all = serving.done(&["ps"]);
    assert!(all.starts_with("TENANT") && all.contains("blue") && all.contains("secret"), "{all}");
    serving.done(&["stop", "secret", "--abort", "--tenant", "blue"]);
    assert_eq!(names(&blue), ["same"]);
}

#[test]
fn a_tenant_uses_no_file_of_another_even_if_it_knows_the_digest() {
    let mut serving = Serving::with_host("[tenant.blue]\n[tenant.green]\n");
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    let digest = sage_serve::store::Digest::of(b"bytes").to_string();
    let path = format!("/v1/components/{digest}");
    assert_eq!(ask_as(&serving, &blue, "PUT", &path, "bytes").status, 201);
    assert_eq!(ask_as(&serving, &blue, "PUT", &path, "bytes").status, 200);
    assert_eq!(ask_as(&serving, &green, "GET", &path, "").code(), "no-such-component");
    assert_eq!(ask_as(&serving, &green, "GET", "/v1/components", "").json()["components"], serde_json::json!([]));
    // Other bytes are noticed: nothing is known about the file.
    assert_eq!(ask_as(&serving, &green, "PUT", &path, "other").code(), "digest-mismatch");
    let pipeline = ENDLESS.replace("generate = { rate = 1000, payload_bytes = 16 }", "component = \"a.wasm\"");
    let body =
        serde_json::json!({ "pipeline": pipeline, "path": "/p.toml", "files": { "a.wasm": digest } }).to_string();
    assert_eq!(ask_as(&serving, &green, "POST", "/v1/jobs", &body).code(), "files-missing");
    assert_eq!(ask_as(&serving, &blue, "POST", "/v1/jobs", &body).status, 202);
}

#[test]
fn the_data_of_a_tenant_is_in_its_folder_wherever_its_pipeline_says_it_is_from() {
    let mut serving = Serving::with_host("[tenant.blue]\n");
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    let pipeline = serving.file("away/p.toml", generating(10, 1000, "out.txt"));
    done_as(&serving, &blue, &["submit", text(&pipeline), "--wait", "done"]);
    let written = std::fs::read_to_string(serving.path("state/data/blue/out.txt")).unwrap();
    assert_eq!(written.lines().count(), 10);
    assert!(!serving.path("away/out.txt").exists());
    for outside in ["/etc/passwd", "../green/out.txt", "/tmp/x"] {
        let pipeline = serving.file("thief.toml", generating(10, 1000, outside));
        let output = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", "thief", "--wait", "done"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(outside) && said.contains('^'), "{said}");
    }
}
