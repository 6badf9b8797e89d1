use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::http::exchange;
use super::prometheus::check_exposition;
use super::serving::{ENDLESS, Serving, text};

/// The metrics of a server, in the older format or in OpenMetrics.
fn scrape(serving: &Serving, accept: &str) -> String {
    let headers = [("accept", accept)];
    let answer = serving.client().request("GET", "/metrics", &headers, Vec::new()).unwrap();
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

fn value_of(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().unwrap()
}

#[test]
fn the_metrics_of_all_jobs_are_one_text_in_which_a_stopped_job_is_missing_and_holds_up_nobody() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    for name in ["a", "b"] {
        serving.done(&["submit", text(&pipeline), "--name", name, "--wait", "running"]);
    }
    serving.client().request("GET", "/v1/jobs/a", &[], Vec::new()).unwrap();
    sage_test_support::wait_until("records came to both sinks", || {
        let text = scrape(&serving, "");
        let came = |job: &str| {
            let labels = format!("tenant=\"default\",job=\"{job}\",pipeline=\"p\",operator=\"out\"");
            value_of(&text, &format!("sage_records_in_total{{{labels},operator_instance=\"0\"}}")) > 0.0
        };
        (came("a") && came("b")).then_some(())
    });
    let plain = scrape(&serving, "text/plain");
    check_exposition(&plain);
    assert_eq!(value_of(&plain, "sage_jobs{tenant=\"default\",state=\"running\"}"), 2.0);
    assert_eq!(value_of(&plain, "sage_jobs{tenant=\"default\",state=\"failed\"}"), 0.0);
    assert_eq!(value_of(&plain, "sage_job_up{tenant=\"default\",job=\"a\"}"), 1.0);
    assert_eq!(value_of(&plain, "sage_queue_wait_seconds_count{tenant=\"default\"}"), 2.0);
    assert_eq!(value_of(&plain, "sage_scrape_dropped_samples"), 0.0);
    assert!(value_of(&plain, "sage_api_requests_total{route=\"GET /v1/jobs/{name}\",code=\"200\"}") >= 1.0);
    let of_all = plain.lines().filter(|line| line.starts_with("# TYPE sage_records_in_total ")).count();
    assert_eq!(of_all, 1, "a family is described once");

    let open = scrape(&serving, "application/openmetrics-text; version=1.0.0,text/plain;q=0.5");
    assert!(open.contains("# TYPE sage_records_in counter\n") && open.ends_with("# EOF\n"), "{open}");

    serving.signal("b", Signal::STOP);
    let begun = Instant::now();
    let plain = scrape(&serving, "text/plain");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(value_of(&plain, "sage_jobs_silent"), 1.0);
    assert_eq!(value_of(&plain, "sage_job_up{tenant=\"default\",job=\"b\"}"), 0.0);
    assert_eq!(value_of(&plain, "sage_job_up{tenant=\"default\",job=\"a\"}"), 1.0);
    assert!(!plain.contains("sage_records_in_total{tenant=\"default\",job=\"b\""));
    serving.signal("b", Signal::CONT);
}

#[test]
fn a_job_tells_its_rates_once_and_as_a_stream_with_numbers() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    let look: Value = serving.client().get("/v1/jobs/a/metrics").unwrap();
    let stage = |look: &Value, name: &str| {
        let found = look["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == name);
        found.unwrap_or_else(|| panic!("{look}")).clone()
    };
    assert_eq!((look["attempt"].as_u64(), look["state"].as_str()), (Some(1), Some("running")));
    assert!(look["seconds"].as_f64().unwrap() > 0.0, "{look}");
    let rate = stage(&look, "in")["records_per_second"].as_f64().unwrap();
    assert!((100.0..=3000.0).contains(&rate), "{look}");
    assert!(stage(&look, "out")["latency_p99"].as_f64().unwrap() > 0.0, "{look}");

    let follow = |since: &str, take: usize| {
        let mut looks: Vec<Value> = Vec::new();
        let each = |line: &str| {
            looks.push(serde_json::from_str(line).unwrap());
            looks.len() < take
        };
        serving.client().lines(&format!("/v1/jobs/a/metrics?follow{since}"), each).unwrap();
        looks
    };
    let seq = |looks: &[Value]| looks.iter().map(|look| look["seq"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(seq(&follow("", 3)), [1, 2, 3], "a stream begins with what is known");
    assert_eq!(seq(&follow("&since=2", 2)), [3, 4], "all readers get the same numbers");

    serving.signal("a", Signal::STOP);
    let silent = follow("&since=4", 4).into_iter().find(|look| look["silent"].is_string());
    assert!(silent.is_some_and(|look| look["stages"] == serde_json::json!([])));
    serving.signal("a", Signal::CONT);

    serving.done(&["stop", "a", "--abort"]);
    let end = exchange(
        &serving,
        b"GET /v1/jobs/a/metrics?follow&format=sse HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    assert!(end.contains("content-type: text/event-stream"), "a stream of a job that has ended, ends: {end}");
    let refused = exchange(&serving, b"GET /v1/jobs/a/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(refused.contains("\"code\":\"not-live\""), "{refused}");
}

#[test]
fn messages_of_the_server_are_json_if_asked_for() {
    let mut serving = Serving::with_host("");
    let words = serving.command();
    serving.start_as(std::process::Command::new(&words[0]).args(&words[1..]).args(["--log-format", "json"]));
    assert!(serving.stop().success());
    let said = serving.log();
    let messages: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(messages.len(), said.lines().count(), "{said}");
    assert!(messages.iter().any(|message| message.to_string().contains("the server ends")), "{said}");
}
