use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use sage_test_support::wait_until;
use sage_tests::program;
use serde_json::Value;

use super::over_tcp::{ask, ask_as, done_as, run_as, token};
use super::serving::{Serving, text};

#[test]
fn a_fresh_server_has_a_token_for_its_owner_and_prints_only_where_it_is() {
    let mut serving = Serving::started();
    let path = serving.path("state/admin.token");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(&path).unwrap().trim().to_owned();
    assert!(done_as(&serving, &first, &["ps"]).starts_with("no job runs"));
    assert!(!serving.log().contains("sage_"), "{}", serving.log());
    for file in fs::read_dir(serving.path("state/tokens")).unwrap() {
        let stored = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!stored.contains(first.rsplit_once('_').unwrap().1), "{stored}");
    }
    // A restart makes no other one, and the token goes on to open.
    let before = fs::read_to_string(&path).unwrap();
    assert!(serving.stop().success());
    serving.start();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    done_as(&serving, &first, &["ps"]);
}

#[test]
fn a_token_that_was_removed_or_has_expired_opens_nothing_and_neither_does_another() {
    let mut serving = Serving::started();
    let made: Value =
        serde_json::from_str(&serving.done(&["token", "new", "--role", "deploy", "--output", "json"])).unwrap();
    let (id, blue) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!(blue.len(), 61);
    done_as(&serving, blue, &["ps"]);
    let listed = serving.done(&["token", "ls"]);
    assert!(listed.contains(id) && listed.contains("deploy") && !listed.contains(blue), "{listed}");
    assert!(
        serving.done(&["token", "ls"]).lines().any(|line| line.contains(id) && line.contains("0s ago")),
        "{listed}"
    );
    let short = token(&serving, &["--role", "read", "--expires", "1500ms"]);
    done_as(&serving, &short, &["ps"]);
    wait_until("the token has expired", || {
        let answer = ask_as(&serving, &short, "GET", "/v1/jobs", "");
        Some(()).filter(|()| (answer.status, answer.code().as_str()) == (401, "token-expired"))
    });
    serving.done(&["token", "rm", id]);
    for wrong in [blue, "sage_", "", &"x".repeat(500)] {
        let answer = ask_as(&serving, wrong, "GET", "/v1/jobs", "");
        assert_eq!((answer.status, answer.code().as_str()), (401, "bad-token"), "{wrong}: {answer:?}");
    }
    let basic = ask(&serving, "GET", "/v1/jobs", &[("authorization", "Basic YTpi")], "");
    assert_eq!(basic.status, 401);
    // It stays removed.
    assert!(serving.stop().success());
    serving.start();
    assert_eq!(ask_as(&serving, blue, "GET", "/v1/jobs", "").status, 401);
    let refused = run_as(&serving, blue, &["ps"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    for way in ["SAGE_HOST_TOKEN", "--token-file", "context add", "--socket"] {
        assert!(said.contains(way), "{said}");
    }
}

#[test]
fn nobody_makes_or_removes_a_token_with_a_higher_role() {
    let mut serving = Serving::with_host("[tenant.blue]\n[tenant.green]\n");
    serving.start();
    let head = token(&serving, &["--tenant", "blue", "--role", "tenant-admin"]);
    for (path, body, status, code) in [
        ("/v1/tokens", r#"{"role":"admin"}"#, 403, "role-too-low"),
        ("/v1/tokens", r#"{"role":"read","tenant":"green"}"#, 404, "no-such-tenant"),
        ("/v1/tenants/green/tokens", r#"{"role":"read"}"#, 404, "no-such-tenant"),
        ("/v1/tokens", r#"{"role":"root"}"#, 400, "bad-json"),
        ("/v1/tokens", r#"{"role":"read","lifetime":0}"#, 422, "bad-lifetime"),
        ("/v1/tokens", "{\"role\":\"read\",\"note\":\"a\\u0000b\"}", 422, "bad-note"),
        ("/v1/tokens", r#"{"role":"deploy"}"#, 201, ""),
    ] {
        let answer = ask_as(&serving, &head, "POST", path, body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}: {answer:?}");
        if status == 201 {
            assert_eq!(answer.json()["tenant"], "blue");
        }
    }
    let green: Value =
        serde_json::from_str(&serving.done(&["token", "new", "--tenant", "green", "--output", "json"])).unwrap();
    let of_green = format!("/v1/tokens/{}", green["id"].as_str().unwrap());
    assert_eq!(ask_as(&serving, &head, "DELETE", &of_green, "").code(), "no-such-token");
    assert_eq!(ask_as(&serving, &head, "DELETE", "/v1/tokens/..%2f..%2fx", "").code(), "bad-token-id");
    let listed = ask_as(&serving, &head, "GET", "/v1/tokens", "").json();
    assert!(listed["tokens"].as_array().unwrap().iter().all(|token| token["tenant"] == "blue"), "{listed}");
    // No token of a tenant is for the machine.
    let admin = ask_as(&serving, &head, "POST", "/v1/tokens", r#"{"role":"tenant-admin"}"#).json();
    assert_eq!(admin["tenant"], "blue");
    let owner =
        serving.client().json::<Value>("POST", "/v1/tokens", &[], br#"{"role":"admin","tenant":"blue"}"#.to_vec());
    assert!(matches!(owner, Err(sage_serve::api::ClientError::Refused(problem)) if problem.code == "role-too-high"));
}

#[test]
fn a_peer_that_tries_tokens_is_slowed_down_and_others_are_not() {
    let serving = Serving::started();
    let good = token(&serving, &["--role", "read"]);
    let wrong = format!("sage_aaaaaaaaaaaa_{}", "a".repeat(43));
    let answers: Vec<_> = (0..60).map(|_| ask_as(&serving, &wrong, "GET", "/v1/jobs", "")).collect();
    let slowed = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(slowed >= 30, "{slowed} of 60");
    assert!(answers.iter().all(|answer| matches!(answer.status, 401 | 429)));
    let last = answers.iter().rfind(|answer| answer.status == 429).unwrap();
    assert_eq!((last.code().as_str(), last.header("retry-after")), ("too-fast", Some("1")));
    assert_eq!(ask_as(&serving, &good, "GET", "/v1/jobs", "").status, 200, "a good token opens all the same");
    serving.done(&["ps"]);
}

#[test]
fn a_peer_has_32_connections_and_its_oldest_is_closed_for_a_new_one() {
    let serving = Serving::started();
    let open = || {
        let stream = TcpStream::connect(serving.tcp()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
        stream
    };
    let mut streams: Vec<TcpStream> = (0..32).map(|_| open()).collect();
    let good = token(&serving, &["--role", "read"]);
    // Each of these closes one of the silent ones.
    for _ in 0..3 {
        assert_eq!(ask_as(&serving, &good, "GET", "/v1/jobs", "").status, 200);
    }
    let mut closed = 0;
    for stream in &mut streams[..3] {
        closed += usize::from(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    assert!(closed >= 1, "{closed}");
    serving.done(&["ps"]);
}

#[test]
fn a_busy_port_and_an_open_address_are_refused_with_advice() {
    let serving = Serving::started();
    let start = |listen: &str, more: &[&str]| {
        let (state, socket) = (serving.path("other"), serving.path("other.sock"));
        let words = ["serve", "--state", text(&state), "--socket", text(&socket), "--listen", listen];
        let host = serving.path("host.toml");
        let output = Command::new(program()).args(words).args(["--host", text(&host)]).args(more).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = start(&serving.tcp().to_string(), &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("is in use") && said.contains("--listen 127.0.0.1:PORT") && said.contains("off"), "{said}");
    let (code, said) = start("0.0.0.0:0", &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("can be reached from other machines") && said.contains("--insecure-bind"), "{said}");
    let (code, said) = start("somewhere", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(!serving.path("other.sock").exists(), "a server that does not start leaves no socket");
}

#[test]
fn contexts_keep_servers_and_tokens_and_the_current_one_is_used() {
    let serving = Serving::started();
    let file = serving.file("t.token", token(&serving, &["--role", "read"]));
    let server = format!("http://{}", serving.tcp());
    let run = |words: &[&str]| {
        let mut command = Command::new(program());
        command.args(words).env("XDG_CONFIG_HOME", serving.path("config"));
        for variable in ["SAGE_HOST_SOCKET", "SAGE_HOST_SERVER", "SAGE_HOST_TOKEN"] {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
    };
    let ok = |words: &[&str]| {
        let (code, said) = run(words);
        assert_eq!(code, 0, "{words:?}: {said}");
        said
    };
    ok(&["context", "add", "here", "--server", &server, "--token-file", text(&file)]);
    let config = serving.path("config/sage-host/contexts.toml");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ok(&["ps"]).starts_with("no job runs"));
    let (code, said) = run(&["context", "add", "far", "--server", "http://192.0.2.1", "--token-file", text(&file)]);
    assert_eq!((code, said.contains("`sage-host context use far` uses it")), (0, true), "{said}");
    ok(&["context", "use", "far"]);
    let (code, said) = run(&["ps"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("without encryption") && said.contains("ssh -L") && said.contains("--insecure"), "{said}");
    assert!(ok(&["ps", "--context", "here"]).starts_with("no job runs"));
    assert!(ok(&["context", "ls"]).lines().any(|line| line.starts_with('*') && line.contains("far")));
    ok(&["context", "rm", "far"]);
    for (words, says) in [
        (&["ps", "--context", "far"][..], "known are: here"),
        (&["context", "use", "far"], "there is no context"),
        (&["context", "add", "x", "--server", "here"], "write http://HOST:PORT"),
        (&["context", "add", "../x", "--server", &server], "is no name"),
        (&["ps", "--server", "http://x/y"], "is no server"),
    ] {
        let (code, said) = run(words);
        assert_eq!(code, 2, "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
    }
    fs::write(&config, "surprise = 1").unwrap();
    let (code, said) = run(&["ps"]);
    assert_eq!((code, said.contains("contexts.toml")), (2, true), "{said}");
}
