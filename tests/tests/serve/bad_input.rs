use std::fs;

use sage_serve::store::Digest;
use serde_json::{Value, json};

use super::http::exchange;
use super::serving::{ENDLESS, Serving, text};

/// A request and its answer: the status, and the body as JSON.
fn ask(serving: &Serving, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = exchange(serving, &[head.as_bytes(), body].concat());
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    // A body of unknown length comes in chunks.
    let object = body.find('{').and_then(|begin| body.rfind('}').map(|end| &body[begin..=end])).unwrap_or("null");
    (status, serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

#[test]
fn every_bad_request_has_a_code_and_leaves_nothing() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    let before = fs::read_dir(serving.path("state/jobs")).unwrap().count();
    let submission = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({ "pipeline": ENDLESS, "path": "/tmp/p.toml" });
        change(&mut body);
        body.to_string().into_bytes()
    };
    let with = |name: &str, value: Value| submission(&|body| body[name] = value.clone());
    let component = ENDLESS.replace("generate = { rate = 1000, payload_bytes = 16 }", "component = \"a.wasm\"");
    let digest = Digest::of(b"bytes").to_string();
    let missing = submission(&|body| {
        body["pipeline"] = component.clone().into();
        body["files"] = json!({ "a.wasm": digest });
    });
    let upload = format!("/v1/components/{digest}");
    let long = "a".repeat(64);
    let cases: Vec<(&str, String, Vec<u8>, u16, &str)> = vec![
        ("POST", "/v1/jobs".into(), b"".to_vec(), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), b"[".to_vec(), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), b"\xff\xfe".to_vec(), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), with("surprise", 1.into()), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), with("name", "../x".into()), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), with("name", long.clone().into()), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), with("restart", "always".into()), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), with("files", json!({ "a": "sha256:x" })), 400, "bad-json"),
        ("POST", "/v1/jobs".into(), with("path", "p.toml".into()), 422, "bad-path"),
        ("POST", "/v1/jobs".into(), with("path", "/tmp/../etc/p.toml".into()), 422, "bad-path"),
        ("POST", "/v1/jobs".into(), with("path", "/".into()), 422, "bad-path"),
        ("POST", "/v1/jobs".into(), with("pipeline", "[[sink]".into()), 422, "pipeline-invalid"),
        ("POST", "/v1/jobs".into(), with("pipeline", component.clone().into()), 422, "file-unnamed"),
        ("POST", "/v1/jobs".into(), with("files", json!({ "b.wasm": digest })), 422, "file-unused"),
        ("POST", "/v1/jobs".into(), with("drain_timeout", 86_400_001.into()), 422, "bad-drain-timeout"),
        ("POST", "/v1/jobs".into(), with("labels", json!({ "x": "y".repeat(256) })), 422, "bad-labels"),
        ("POST", "/v1/jobs".into(), missing.clone(), 409, "files-missing"),
        ("POST", "/v1/jobs".into(), with("name", "a".into()), 409, "name-taken"),
        ("POST", "/v1/jobs".into(), vec![b' '; (4 << 20) + 1], 413, "too-large"),
        ("GET", "/v1/jobs?limit=0".into(), vec![], 400, "bad-parameter"),
        ("GET", "/v1/jobs?limit=201".into(), vec![], 400, "bad-parameter"),
        ("GET", "/v1/jobs?page=2".into(), vec![], 400, "unknown-parameter"),
        ("GET", "/v1/jobs?cursor=../x".into(), vec![], 400, "bad-cursor"),
        ("GET", "/v1/jobs/none".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/%2e%2e".into(), vec![], 400, "bad-name"),
        ("GET", "/v1/jobs/a%2f..%2fb".into(), vec![], 400, "bad-name"),
        ("GET", "/v1/jobs/a%00".into(), vec![], 400, "bad-name"),
        ("GET", format!("/v1/jobs/{long}"), vec![], 400, "bad-name"),
        ("DELETE", "/v1/jobs/a".into(), vec![], 409, "still-live"),
        ("DELETE", "/v1/jobs/none".into(), vec![], 404, "no-such-job"),
        ("POST", "/v1/jobs/a/stop".into(), b"{\"mode\":\"explode\"}".to_vec(), 400, "bad-json"),
        ("POST", "/v1/jobs/a/stop".into(), b"{\"timeout\":-1}".to_vec(), 400, "bad-json"),
        ("POST", "/v1/jobs/a/stop".into(), b"{\"timeout\":86400001}".to_vec(), 422, "bad-timeout"),
        ("POST", "/v1/jobs/none/stop".into(), vec![], 404, "no-such-job"),
        ("POST", "/v1/jobs/none/savepoint".into(), vec![], 404, "no-such-job"),
        ("POST", "/v1/jobs/a/savepoint".into(), b"{\"name\":7}".to_vec(), 400, "bad-json"),
        ("POST", "/v1/jobs/a/savepoint".into(), b"{\"name\":\"../x\"}".to_vec(), 409, "job-refused"),
        ("POST", "/v1/jobs/none/start".into(), vec![], 404, "no-such-job"),
        ("POST", "/v1/jobs/none/restart".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/none/status".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/none/explain".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/none/metrics".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/none/events".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/none/logs".into(), vec![], 404, "no-such-job"),
        ("GET", "/v1/jobs/a/logs?level=loud".into(), vec![], 400, "bad-parameter"),
        ("GET", "/v1/jobs/a/logs?since=x".into(), vec![], 400, "bad-parameter"),
        ("GET", "/v1/jobs/a/logs?format=xml".into(), vec![], 400, "bad-parameter"),
        ("GET", "/v1/events?follow=maybe".into(), vec![], 400, "bad-parameter"),
        ("PUT", "/v1/components/abc".into(), b"bytes".to_vec(), 400, "bad-digest"),
        ("PUT", "/v1/components/sha256:..%2f..".into(), b"bytes".to_vec(), 400, "bad-digest"),
        ("PUT", upload.clone(), b"other".to_vec(), 422, "digest-mismatch"),
        ("GET", upload.clone(), vec![], 404, "no-such-component"),
        ("POST", "/v1/components".into(), vec![], 405, "no-such-method"),
        ("GET", "/v2/jobs".into(), vec![], 404, "no-such-route"),
        ("GET", "/jobs".into(), vec![], 404, "no-such-route"),
        ("GET", "/assets/none.js".into(), vec![], 404, "no-such-route"),
        ("GET", "/assets/..%2fCargo.toml".into(), vec![], 404, "no-such-route"),
        ("GET", "/v1/jobs/none/graph".into(), vec![], 404, "no-such-job"),
    ];
    for (method, path, body, status, code) in cases {
        let (actual, problem) = ask(&serving, method, &path, &body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert_eq!((actual, problem["code"].as_str()), (status, Some(code)), "{method} {path} {shown}: {problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    }
    // A length that lies, and a body that ends early.
    for head in ["content-length: 3000000000", "content-length: 100"] {
        let answer = exchange_and_close(&serving, &format!("PUT {upload} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\nbytes"));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(fs::read_dir(serving.path("state/jobs")).unwrap().count(), before);
    assert_eq!(fs::read_dir(serving.path("state/incoming")).unwrap().count(), 0);
    let (_, list) = ask(&serving, "GET", "/v1/components", b"");
    assert_eq!(list["components"], json!([]));
    assert_eq!(serving.detail("a").row.state, "running");
}

/// Sends bytes, closes the writing side, and reads the answer.
fn exchange_and_close(serving: &Serving, sent: &str) -> String {
    use std::io::Read as _;
    let mut stream = super::http::connection(serving, sent.as_bytes());
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
