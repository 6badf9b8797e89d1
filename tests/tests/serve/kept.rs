use sage_test_support::wait_until;
use serde_json::Value;

use super::over_tcp::{ask_as, done_as, token};
use super::serving::{Serving, generating, text};

fn names(serving: &Serving) -> Vec<String> {
    let listed: Value = serde_json::from_str(&serving.done(&["ps", "-a", "--output", "json"])).unwrap();
    listed["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn so_many_ended_jobs_of_each_tenant_stay_listed_and_live_ones_all() {
    let mut serving = Serving::with_host("[serve]\nkeep_ended = 2\n[tenant.blue]\n[tenant.default]\n");
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    let endless = serving.file("e.toml", super::serving::ENDLESS);
    serving.done(&["submit", text(&endless), "--name", "lives", "--wait", "running"]);
    let pipeline = serving.file("p.toml", generating(1, 1000, "out.txt"));
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "of-blue", "--wait", "done"]);
    for name in ["one", "two", "three"] {
        serving.done(&["submit", text(&pipeline), "--name", name, "--wait", "done"]);
    }
    wait_until("the oldest end is gone", || (names(&serving) == ["lives", "of-blue", "two", "three"]).then_some(()));
    // A server with a shorter memory forgets the rest when it starts; what lives stays.
    assert!(serving.stop().success());
    let host = std::fs::read_to_string(serving.path("host.toml")).unwrap();
    serving.file("host.toml", host.replace("keep_ended = 2", "keep_ended_for = \"1ms\""));
    serving.start();
    wait_until("ended jobs are gone", || (names(&serving) == ["lives"]).then_some(()));
    assert_eq!(std::fs::read_dir(serving.path("state/jobs")).unwrap().count(), 1);
}

#[test]
fn the_oldest_parts_of_a_tenants_logs_make_room_and_a_reader_is_told() {
    let mut serving = Serving::with_host("[tenant.blue]\nlog_bytes = \"2MiB\"\n[tenant.default]\n");
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    // Records of a sink for standard output go to the log: about 4 MiB.
    let pipeline = "[[source]]\nname = \"in\"\ngenerate = { count = 8000, payload_bytes = 400 }\n\
        [[sink]]\nname = \"out\"\ninput = \"in\"\nstdout = {}\n";
    let pipeline = serving.file("p.toml", pipeline);
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "talks", "--wait", "done"]);
    let id = ask_as(&serving, &blue, "GET", "/v1/jobs/talks", "").json()["id"].as_str().unwrap().to_owned();
    let logs = serving.path("state/jobs").join(id).join("logs");
    let size =
        || -> u64 { std::fs::read_dir(&logs).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum() };
    wait_until("the logs are short enough", || (size() <= 2 << 20).then_some(()));
    let read = ask_as(&serving, &blue, "GET", "/v1/jobs/talks/logs", "").body;
    assert!(read.contains("\"gap\""), "{}", read.chars().take(300).collect::<String>());
    assert!(read.lines().count() > 10);
}
