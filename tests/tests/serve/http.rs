use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::serving::{ENDLESS, Serving, text};

/// A connection that has sent `sent`.
pub(crate) fn connection(serving: &Serving, sent: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(serving.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The server may have closed the connection before all bytes were sent.
    let _ = stream.write_all(sent);
    stream
}

/// Everything that the server answers to these bytes, until it closes the connection.
pub(crate) fn exchange(serving: &Serving, sent: &[u8]) -> String {
    let mut answer = Vec::new();
    let _ = connection(serving, sent).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn silent_and_slow_connections_keep_nobody_out_and_are_closed() {
    let serving = Serving::started();
    let heads = ["", "GET /v1/jobs HTTP/1.1\r\nx: ", "POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"];
    let silent: Vec<UnixStream> = (0..900).map(|n| connection(&serving, heads[n % heads.len()].as_bytes())).collect();
    assert_eq!(serving.done(&["ps"]), "no job runs or waits; `sage-host ps -a` lists those that have ended\n");
    for mut stream in silent.into_iter().take(30) {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let many: String = (0..100).map(|n| format!("x{n}: 1\r\n")).collect();
    for head in [many, format!("x: {}\r\n", "y".repeat(64 << 10))] {
        let answer = exchange(&serving, format!("GET /v1/version HTTP/1.1\r\n{head}\r\n").as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[test]
fn pages_have_a_cursor_and_a_key_makes_a_repeated_request_harmless() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS.replace("rate = 1000", "count = 1"));
    let body =
        serde_json::json!({ "pipeline": std::fs::read_to_string(&pipeline).unwrap(), "path": pipeline }).to_string();
    let client = serving.client();
    let submit = |key: &str, body: &str| {
        let headers = [("idempotency-key", key)];
        client.json::<Value>("POST", "/v1/jobs", &headers, body.as_bytes().to_vec())
    };
    let ids: Vec<Value> = (0..5).map(|n| submit(&n.to_string(), &body).unwrap()["id"].clone()).collect();
    assert_eq!(submit("2", &body).unwrap()["id"], ids[2]);
    let other = body.replace("count = 1", "count = 2");
    assert!(
        matches!(submit("2", &other), Err(sage_serve::api::ClientError::Refused(problem)) if problem.code == "key-reused")
    );
    let mut found: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    for expected in [2, 2, 1] {
        let page: Value = client.get(&format!("/v1/jobs?limit=2{cursor}")).unwrap();
        let jobs = page["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), expected);
        found.extend(jobs.iter().map(|job| job["id"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => assert_eq!(expected, 1),
        }
    }
    let sorted = |mut ids: Vec<Value>| {
        ids.sort_by_key(ToString::to_string);
        ids
    };
    assert_eq!(sorted(found), sorted(ids));
}

#[test]
fn events_and_logs_are_server_sent_events_with_numbers_if_asked_for() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS.replace("rate = 1000", "count = 1"));
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "done"]);
    let get = |path: &str| {
        exchange(&serving, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
    };
    let events = get("/v1/events?format=sse");
    assert!(events.contains("content-type: text/event-stream"), "{events}");
    assert!(events.contains("id: 1\nevent: state\ndata: {\"seq\":1,"), "{events}");
    let logs = get("/v1/jobs/a/logs?format=sse&since=0");
    assert!(logs.contains("event: log\ndata: {\"seq\":1,"), "{logs}");
}

#[test]
fn another_user_is_refused_by_the_mode_of_the_socket_and_by_its_credentials() {
    use std::os::unix::fs::PermissionsExt as _;
    let serving = Serving::started();
    if !rustix::process::geteuid().is_root() {
        return sage_test_support::skip(sage_test_support::Need::Root, "only root can become another user");
    }
    // The user of a thread is the thread's own, and the thread that connects is the peer.
    let ask = || {
        let socket = serving.socket().to_owned();
        let as_nobody = std::thread::spawn(move || {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
            let mut stream = UnixStream::connect(socket)?;
            let _ = stream.write_all(b"GET /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        as_nobody.join().unwrap()
    };
    let open = |path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(serving.path(""), 0o755);
    assert_eq!(ask().unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    open(serving.socket(), 0o666);
    let refused = ask().unwrap();
    assert!(refused.contains("\"code\":\"not-the-owner\"") && refused.contains("\"status\":403"), "{refused}");
}
