use serde_json::json;

use super::over_tcp::{Answer, ask, ask_as, token};
use super::serving::Serving;

/// Signs in as a browser does, and returns the answer and the cookie.
fn sign_in(serving: &Serving, token: &str) -> (Answer, String) {
    let body = json!({ "token": token }).to_string();
    let answer = ask(serving, "POST", "/v1/session", &[("x-sage-host", "1")], &body);
    let cookie = answer.header("set-cookie").unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    (answer, cookie)
}

#[test]
fn a_session_is_a_cookie_that_no_script_reads_and_no_other_site_sends() {
    let serving = Serving::started();
    let made = token(&serving, &["--role", "deploy"]);
    let (answer, cookie) = sign_in(&serving, &made);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["role"], "deploy");
    let set = answer.header("set-cookie").unwrap();
    assert!(["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="].iter().all(|part| set.contains(part)), "{set}");
    assert!(cookie.starts_with("sage_session=") && !cookie.contains(made.rsplit_once('_').unwrap().1));
    let with = |method: &str, path: &str, more: &[(&str, &str)]| {
        ask(&serving, method, path, &[&[("cookie", cookie.as_str())], more].concat(), "{}")
    };
    assert_eq!(with("GET", "/v1/jobs", &[]).status, 200);
    assert_eq!(with("GET", "/v1/session", &[]).json()["role"], "deploy");
    // A page of another origin cannot add the header, and gets no permission to.
    let write = with("POST", "/v1/jobs/none/stop", &[("origin", "http://evil.example")]);
    assert_eq!((write.status, write.code().as_str()), (403, "no-write-header"));
    let preflight = [("origin", "http://evil.example"), ("access-control-request-headers", "x-sage-host")];
    let preflight = with("OPTIONS", "/v1/jobs/none/stop", &preflight);
    assert_eq!(preflight.header("access-control-allow-origin"), None, "{preflight:?}");
    assert_eq!(with("POST", "/v1/jobs/none/stop", &[("x-sage-host", "1")]).code(), "no-such-job");
    // A session has the role of its token.
    assert_eq!(with("POST", "/v1/tokens", &[("x-sage-host", "1")]).code(), "role-too-low");
    assert_eq!(with("DELETE", "/v1/session", &[]).status, 204);
    let over = with("GET", "/v1/jobs", &[]);
    assert_eq!((over.status, over.code().as_str()), (401, "session-over"));
}

#[test]
fn a_session_ends_with_its_token_and_no_page_signs_a_browser_in_as_someone_else() {
    let serving = Serving::started();
    let made = token(&serving, &["--role", "read"]);
    let (_, cookie) = sign_in(&serving, &made);
    let jobs = || ask(&serving, "GET", "/v1/jobs", &[("cookie", &cookie)], "").status;
    assert_eq!(jobs(), 200);
    serving.done(&["token", "rm", made.split('_').nth(1).unwrap()]);
    assert_eq!(jobs(), 401);
    let (again, _) = sign_in(&serving, &made);
    assert_eq!((again.status, again.code().as_str()), (401, "bad-token"));
    let body = json!({ "token": token(&serving, &["--role", "read"]) }).to_string();
    let foreign = ask(&serving, "POST", "/v1/session", &[("content-type", "text/plain")], &body);
    assert_eq!((foreign.status, foreign.header("set-cookie")), (403, None));
}

#[test]
fn a_request_to_a_name_of_another_is_refused_whatever_its_token() {
    let serving = Serving::started();
    let made = token(&serving, &["--role", "read"]);
    let authorization = format!("Bearer {made}");
    let to = |host: &str| ask(&serving, "GET", "/v1/jobs", &[("host", host), ("authorization", &authorization)], "");
    for host in ["evil.example", "evil.example:19001", "127.0.0.1.nip.io", ""] {
        let answer = to(host);
        assert_eq!((answer.status, answer.code().as_str()), (403, "wrong-host"), "{host}: {answer:?}");
    }
    for host in ["localhost", "127.0.0.1", "[::1]:19001", &serving.tcp().to_string()] {
        assert_eq!(to(host).status, 200, "{host}");
    }
    assert_eq!(ask_as(&serving, &made, "GET", "/v1/nothing", "").code(), "no-such-route");
}
