//! Windows of event time, in both kinds of isolation and with several instances, compared with a plain sum.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use sage_tests::{Outcome, Scenario, operator};
use serde_json::Value;

/// A reading: seconds since the Unix epoch, sensor, value.
type Reading = (i64, String, i64);

/// The result of a window: sensor, start and end in seconds, number, sum.
type Sums = BTreeMap<(String, i64, i64), (u64, i64)>;

/// Readings of half a day around 1970, up to 5 seconds out of order, with pauses.
fn readings() -> Vec<Reading> {
    let time = |n: i64| 3 * n + 400 * (n / 500) - (n * n) % 6 - 20_000;
    (0..12_000).map(|n| (time(n), format!("s{}", (n * 7 + n / 11) % 23), n % 31)).collect()
}

fn csv(readings: &[Reading]) -> String {
    let lines = readings.iter().map(|(time, sensor, celsius)| format!("{time},{sensor},{celsius}\n"));
    "time,sensor,celsius\n".to_owned() + &lines.collect::<String>()
}

fn pipeline(settings: &str, sinks: &str) -> String {
    format!(
        r#"
[[source]]
name = "in"
file = {{ path = "in.csv", format = "csv" }}
key = "sensor"
event_time = {{ field = "time", format = "unix" }}
watermark = {{ out_of_order = "10s" }}
[[operator]]
name = "mean"
component = "{}"
input = "in"
partition = "key"
{settings}
[[sink]]
name = "out"
input = "mean"
file = {{ path = "out.jsonl" }}
{sinks}
"#,
        operator("windowed_mean").display()
    )
}

fn run(input: &[Reading], settings: &str, sinks: &str, isolation: &str) -> (Scenario, Outcome) {
    let scenario = Scenario::new();
    scenario.file("in.csv", csv(input));
    scenario.pipeline(&pipeline(settings, sinks));
    let outcome = scenario.run_with(["--isolation", isolation]);
    outcome.expect_exit(0).expect_conservation();
    (scenario, outcome)
}

/// The results of the run: sensor, start in text, number and mean.
fn results(scenario: &Scenario) -> Vec<(String, String, u64, String)> {
    let result = |line: &String| {
        let mean: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| mean[field].as_str().unwrap().to_owned();
        (text("sensor"), text("start"), mean["readings"].as_u64().unwrap(), mean["celsius"].to_string())
    };
    let mut results: Vec<_> = scenario.lines("out.jsonl").iter().map(result).collect();
    results.sort();
    results
}

/// What the results of these sums are.
fn expected(sums: &Sums) -> Vec<(String, String, u64, String)> {
    let mut expected: Vec<_> = sums
        .iter()
        .map(|((sensor, start, _), (count, sum))| {
            let mean = (*sum as f64 / *count as f64 * 1000.0).round() / 1000.0;
            (sensor.clone(), utc(*start), *count, Value::from(mean).to_string())
        })
        .collect();
    expected.sort();
    expected
}

/// A time as RFC 3339, for days close to 1970.
fn utc(seconds: i64) -> String {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let date = match day {
        -1 => "1969-12-31",
        0 => "1970-01-01",
        1 => "1970-01-02",
        other => panic!("day {other}"),
    };
    format!("{date}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

fn sliding(readings: &[Reading], size: i64, every: i64, offset: i64) -> Sums {
    let mut sums = Sums::new();
    for (time, sensor, celsius) in readings {
        let mut start = (time - offset).div_euclid(every) * every + offset;
        while start + size > *time {
            let sum = sums.entry((sensor.clone(), start, start + size)).or_default();
            *sum = (sum.0 + 1, sum.1 + celsius);
            start -= every;
        }
    }
    sums
}

fn sessions(readings: &[Reading], gap: i64) -> Sums {
    let mut sorted = readings.to_vec();
    sorted.sort();
    let mut open: BTreeMap<String, (i64, i64, u64, i64)> = BTreeMap::new();
    let mut sums = Sums::new();
    for (time, sensor, celsius) in sorted {
        let session = open.entry(sensor.clone()).or_insert((time, time + gap, 0, 0));
        if time >= session.1 {
            sums.insert((sensor, session.0, session.1), (session.2, session.3));
            *session = (time, time + gap, 0, 0);
        }
        *session = (session.0, time + gap, session.2 + 1, session.3 + celsius);
    }
    sums.extend(open.into_iter().map(|(sensor, (start, end, count, sum))| ((sensor, start, end), (count, sum))));
    sums
}

#[test]
fn windows_of_every_shape_are_those_of_a_plain_sum() {
    let input = readings();
    for (shape, sums) in [
        ("{ tumbling = \"1m\" }", sliding(&input, 60, 60, 0)),
        ("{ tumbling = \"1h\", offset = \"-7m\" }", sliding(&input, 3600, 3600, -420)),
        ("{ sliding = \"5m\", every = \"1m\" }", sliding(&input, 300, 60, 0)),
        ("{ sliding = \"100s\", every = \"30s\", offset = \"7s\" }", sliding(&input, 100, 30, 7)),
        ("{ session = \"90s\" }", sessions(&input, 90)),
        ("{ session = \"200s\" }", sessions(&input, 200)),
    ] {
        let expected = expected(&sums);
        for isolation in ["thread", "process"] {
            for instances in ["", "parallelism = 3\n"] {
                let (scenario, outcome) = run(&input, &format!("{instances}window = {shape}"), "", isolation);
                let found = results(&scenario);
                let place = format!("{shape} {isolation} {instances}");
                assert_eq!(found.len(), expected.len(), "{place}: {outcome:?}");
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found, expected, "{place}");
                }
                assert_eq!(outcome.stage("mean").count("handled"), input.len() as u64, "{place}");
                assert!(outcome.summary().to_string().find("late_records").is_none(), "{place}: {outcome:?}");
            }
        }
    }
}

#[test]
fn late_records_go_to_their_output_as_they_came_or_are_counted() {
    // The last records are hours late.
    let mut input = readings();
    let late: Vec<Reading> = (0..50).map(|n| (-19_000 + n, format!("s{}", n % 3), n)).collect();
    let on_time = sliding(&input, 60, 60, 0);
    input.extend(late.clone());
    for isolation in ["thread", "process"] {
        for is_read in [true, false] {
            let sink = "[[sink]]\nname = \"late\"\ninput = \"mean.late\"\nfile = { path = \"late.txt\" }\n";
            let sinks = if is_read { sink } else { "" };
            let (scenario, outcome) = run(&input, "window = { tumbling = \"1m\" }", sinks, isolation);
            assert_eq!(results(&scenario), expected(&on_time), "{isolation}");
            let stage = outcome.stage("mean");
            assert_eq!((stage.count("late_records"), stage.count("handled")), (50, input.len() as u64), "{isolation}");
            if is_read {
                let found: Vec<Value> =
                    scenario.lines("late.txt").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
                let times: Vec<String> = late.iter().map(|(time, _, _)| time.to_string()).collect();
                let found: Vec<&str> = found.iter().map(|record| record["time"].as_str().unwrap()).collect();
                assert_eq!(found, times, "{isolation}: as they came, and in order");
                assert_eq!(outcome.stage("late").count("records_in"), 50);
            }
        }
    }
}

#[test]
fn late_records_correct_a_window_while_they_are_allowed() {
    let mut input: Vec<Reading> = (0..30_000).map(|n| (n, "a".to_owned(), 0)).collect();
    // The window of these ended long ago, and is kept.
    input.extend((0..3).map(|n| (600 + n, "a".to_owned(), 63)));
    for isolation in ["thread", "process"] {
        let settings = "window = { tumbling = \"1m\" }\nlate = { allowed = \"10h\" }";
        let (scenario, outcome) = run(&input, settings, "", isolation);
        let of_window: Vec<Value> = scenario
            .lines("out.jsonl")
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|mean| mean["start"] == "1970-01-01T00:10:00Z")
            .collect();
        assert_eq!(of_window.len(), 2, "{isolation}: {outcome:?}");
        let numbers = |mean: &Value| (mean["readings"].as_u64().unwrap(), mean["corrected"].as_u64().unwrap());
        assert_eq!((numbers(&of_window[0]), numbers(&of_window[1])), ((60, 0), (63, 1)), "{isolation}");
        assert_eq!(of_window[1]["celsius"], 3.0);
    }
}

#[test]
fn a_window_behind_a_window_has_all_its_results_in_time() {
    let input = readings();
    let minutes = sliding(&input, 60, 60, 0);
    let mut hours: Sums = Sums::new();
    for (sensor, start, end) in minutes.keys() {
        let hour = (end - 1).div_euclid(3600) * 3600;
        hours.entry((sensor.clone(), hour, hour + 3600)).or_default().0 += 1;
        let _ = start;
    }
    for isolation in ["thread", "process"] {
        let more = format!(
            r#"
[[operator]]
name = "hours"
component = "{}"
input = "mean"
partition = "key"
parallelism = 2
window = {{ tumbling = "1h" }}
[[sink]]
name = "out-hours"
input = "hours"
file = {{ path = "hours.jsonl" }}
"#,
            operator("windowed_mean").display()
        );
        let (scenario, outcome) = run(&input, "window = { tumbling = \"1m\" }\nparallelism = 2", &more, isolation);
        let mut found: Vec<(String, String, u64)> = scenario
            .lines("hours.jsonl")
            .iter()
            .map(|line| {
                let mean: Value = serde_json::from_str(line).unwrap();
                let text = |field: &str| mean[field].as_str().unwrap().to_owned();
                (text("sensor"), text("start"), mean["readings"].as_u64().unwrap())
            })
            .collect();
        found.sort();
        let mut all: Vec<_> =
            hours.iter().map(|((sensor, start, _), (count, _))| (sensor.clone(), utc(*start), *count)).collect();
        all.sort();
        assert_eq!(found, all, "{isolation}: {outcome:?}");
        assert!(outcome.summary().to_string().find("late_records").is_none(), "{isolation}: {outcome:?}");
    }
}
