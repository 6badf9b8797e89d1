use std::fs;

use serde_json::Value;

use super::over_tcp::{ask_as, run_as, token};
use super::serving::Serving;

#[test]
fn every_change_is_kept_with_who_asked_and_a_change_of_the_log_is_noticed() {
    let mut serving = Serving::with_host("[tenant.blue]\n");
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "operate"]);
    let id = blue.split('_').nth(1).unwrap().to_owned();
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(ask_as(&serving, &blue, "POST", "/v1/jobs/none/stop", "{}").code(), "no-such-job");
    assert_eq!(ask_as(&serving, &blue, "PUT", &format!("/v1/components/{digest}"), "x").code(), "role-too-low");
    assert_eq!(ask_as(&serving, &blue, "POST", "/v1/tenants/green/jobs", "{}").code(), "no-such-tenant");
    // Reading, and trying without a token, is not kept.
    ask_as(&serving, &blue, "GET", "/v1/jobs", "");
    ask_as(&serving, "sage_wrong", "POST", "/v1/jobs", "");
    let audit = || -> Vec<Value> {
        let text = serving.done(&["audit", "--output", "json"]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let entries = audit();
    let found: Vec<(String, u64)> = entries
        .iter()
        .map(|entry| (entry["path"].as_str().unwrap().to_owned(), entry["status"].as_u64().unwrap()))
        .collect();
    let expected = [
        ("/v1/tenants/blue/tokens".to_owned(), 201),
        ("/v1/jobs/none/stop".to_owned(), 404),
        (format!("/v1/components/{digest}"), 403),
        ("/v1/tenants/green/jobs".to_owned(), 404),
    ];
    assert_eq!(found, expected);
    assert!(entries[0]["who"].as_str().unwrap().starts_with("user:"), "{}", entries[0]);
    let stop = &entries[1];
    assert_eq!(
        (stop["who"].as_str(), stop["peer"].as_str()),
        (Some(format!("token:{id}").as_str()), Some("127.0.0.1"))
    );
    assert_eq!((stop["tenant"].as_str(), stop["code"].as_str()), (Some("blue"), Some("no-such-job")));
    assert_eq!(stop["body"], sage_serve::store::Digest::of(b"{}").to_string());
    assert!(!serving.done(&["audit"]).contains(blue.rsplit_once('_').unwrap().1), "no secret is kept");
    assert!(!run_as(&serving, &blue, &["audit"]).status.success(), "the log is for the administrator");
    // The chain goes on over a restart.
    assert!(serving.stop().success());
    serving.start();
    serving.done(&["token", "rm", &id]);
    assert_eq!(serving.done(&["audit"]).lines().count(), 5);
    let file = serving.path("state/audit/00000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    for changed in [
        text.replacen("127.0.0.1", "127.0.0.2", 1),
        text.lines().filter(|line| !line.contains("components")).fold(String::new(), |all, line| all + line + "\n"),
    ] {
        fs::write(&file, changed).unwrap();
        let refused = serving.run(&["audit"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("the audit log was changed"), "{said}");
    }
}
