//! Processes, sources and sinks by field, from the file to the file, with operators of both forms around them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::Config;
use sage_tests::{Outcome, Scenario, operator, program};
use serde_json::{Value, json};

use super::{run, sink, source, stage};

fn named_sink(name: &str, input: &str) -> String {
    format!("[[sink]]\nname = \"{name}\"\ninput = \"{input}\"\nfile = {{ path = \"{name}.jsonl\" }}\n")
}

fn values(scenario: &Scenario, file: &str) -> Vec<Value> {
    let mut values: Vec<Value> = scenario.lines(file).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    values.sort_by_key(Value::to_string);
    values
}

#[test]
fn a_process_gives_totals_at_the_end_and_a_side_output_keeps_the_fields_of_its_record() {
    let input = concat!(
        "{\"sensor\":\"a\",\"celsius\":31.25,\"n\":1,\"more\":[1]}\n",
        "{\"sensor\":\"b\",\"celsius\":-1,\"n\":2,\"more\":{}}\n",
        "{\"celsius\":40,\"sensor\":\"b\",\"n\":null,\"more\":\"x\"}\n",
        "{\"sensor\":\"a\",\"celsius\":20,\"n\":4,\"more\":0}\n",
    );
    let schema = "schema = { sensor = \"string\", celsius = \"f64\", n = \"u8?\", more = \"json\" }";
    let settings = "config = { above = 30 }\npartition = \"key\"\nparallelism = 2";
    let pipeline = [
        source("in.jsonl", schema),
        stage("key", "key_sensor", "in", ""),
        stage("sums", "sensor_totals", "key", settings),
        // The side output goes to a filter by field, to an operator of bytes, and to a file.
        stage("hot", "hot", "sums.alerts", "config = { above = 35 }"),
        stage("copy", "identity", "sums.alerts", ""),
        sink("sums"),
        named_sink("alerts", "sums.alerts"),
        named_sink("hottest", "hot"),
        named_sink("copies", "copy"),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    let mut totals = scenario.lines("out.jsonl");
    totals.sort();
    assert_eq!(
        totals,
        [
            r#"{"sensor":"a","readings":2,"mean":25.63,"highest":31.25}"#,
            r#"{"sensor":"b","readings":2,"mean":19.5,"highest":40.0}"#
        ]
    );
    let (a, b) = (
        r#"{"excess":1.3,"sensor":"a","celsius":31.25,"n":1,"more":[1]}"#,
        r#"{"excess":10.0,"sensor":"b","celsius":40.0,"n":null,"more":"x"}"#,
    );
    for (file, lines) in [("alerts.jsonl", vec![a, b]), ("hottest.jsonl", vec![b]), ("copies.jsonl", vec![a, b])] {
        let mut found = scenario.lines(file);
        found.sort();
        assert_eq!(found, lines, "{file}");
    }
    assert_eq!(outcome.stage("sums").count("handled"), 4);

    let found = scenario.command("validate").arg("--schema").output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let edges = [
        "sums -> out\n  sensor    string\n  readings  u64\n  mean      f64\n  highest   f64\n",
        "sums.alerts -> hot\n  excess   f64\n  sensor   string\n  celsius  f64\n  n        u8?\n  more     json\n",
    ];
    assert!(edges.iter().all(|edge| text.contains(edge)), "{text}");
    let found = Command::new(program()).arg("inspect").arg(operator("sensor_totals")).output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let lines = [
        "reads:      sensor (string): Name of the sensor.\n            celsius (f64): Temperature in degrees Celsius.\n",
        "gives:      sensor (string): Name of the sensor.\n            readings (u64): Number of readings.\n",
        "on port:    alerts: excess (f64): Degrees above the limit, rounded to a tenth.\n\
         \x20           alerts: the other fields of a record travel on\n",
    ];
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
}

#[test]
fn made_readings_pass_operators_of_both_forms_to_the_files_of_a_sink_by_field() {
    let files = |input: &str| {
        format!(
            "[[sink]]\nname = \"files\"\ncomponent = \"{}\"\ninput = \"{input}\"\n\
             capabilities = {{ folders = [{{ host = \"by-sensor\", guest = \"/out\", write = true }}] }}\n",
            operator("sensor_files").display()
        )
    };
    let made = |instances: u32| {
        format!(
            "[[source]]\nname = \"in\"\ncomponent = \"{}\"\nconfig = {{ count = 5000 }}\nparallelism = {instances}\n",
            operator("made_readings").display()
        )
    };
    let mut results: Vec<BTreeMap<String, Vec<String>>> = Vec::new();
    for (instances, bytes) in [(1, false), (3, false), (2, true)] {
        let scenario = Scenario::new();
        std::fs::create_dir(scenario.path().join("by-sensor")).unwrap();
        let mut stages = vec![made(instances)];
        let mut last = "in";
        if bytes {
            stages.push(stage("copy", "identity", last, ""));
            last = "copy";
        }
        stages.push(stage("celsius", "celsius", last, ""));
        stages.push(files("celsius"));
        stages.push(sink("in"));
        scenario.pipeline(&stages.concat());
        let outcome = scenario.run();
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(outcome.stage("files").count("handled"), 5000);
        assert_eq!(scenario.lines("out.jsonl").len(), 5000);
        let mut files = BTreeMap::new();
        for sensor in ["sensor-0", "sensor-1", "sensor-2"] {
            let mut lines = scenario.lines(&format!("by-sensor/{sensor}.csv"));
            lines.sort();
            files.insert(sensor.to_owned(), lines);
        }
        let made = values(&scenario, "out.jsonl");
        let rows = |sensor: &str| {
            let rows = made.iter().filter(|reading| reading["sensor"] == sensor).map(|reading| {
                // 2026-01-01T01:23:19Z: the readings of less than two hours.
                let at = reading["at"].as_str().unwrap();
                let number = |range: std::ops::Range<usize>| at[range].parse::<u64>().unwrap();
                let seconds = number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
                let at = 1_767_225_600_000_000 + seconds * 1_000_000;
                format!("{at},{}", super::celsius(reading["fahrenheit"].as_f64().unwrap()))
            });
            let mut rows: Vec<String> = rows.collect();
            rows.sort();
            rows
        };
        assert!(files.iter().all(|(sensor, lines)| *lines == rows(sensor)), "{instances} instances, bytes: {bytes}");
        results.push(files);
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "the same readings in each run");
}

#[test]
fn a_number_of_a_process_that_json_cannot_express_rejects_its_parent_or_is_left_out_alone() {
    // The difference to the limit overflows, and both means do when they are rounded.
    let input = concat!(
        "{\"sensor\":\"a\",\"celsius\":1.7e308}\n",
        "{\"sensor\":\"b\",\"celsius\":-1.7e308}\n",
        "{\"sensor\":\"c\",\"celsius\":1}\n"
    );
    let dead = "on_error = { dead_letter = \"dead.jsonl\" }";
    let stages = |on_error: &str| {
        let settings = format!("config = {{ above = -1.75e308 }}\npartition = \"key\"\n{on_error}");
        [
            source("in.jsonl", "schema = { sensor = \"string\", celsius = \"f64\" }"),
            stage("key", "key_sensor", "in", ""),
            stage("sums", "sensor_totals", "key", &settings),
            stage("copy", "identity", "sums.alerts", ""),
            named_sink("alerts", "copy"),
            sink("sums"),
        ]
    };
    let (scenario, outcome) = run(&[("in.jsonl", input)], &stages(dead));
    outcome.expect_exit(0).expect_conservation();
    let sensors: Vec<Value> =
        values(&scenario, "alerts.jsonl").into_iter().map(|alert| alert["sensor"].clone()).collect();
    assert_eq!(sensors, ["b"], "the excess of the others overflows when it is rounded");
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"sensor":"c","readings":1,"mean":1.0,"highest":1.0}"#]);
    let sums = outcome.stage("sums");
    assert_eq!((sums.count("handled"), sums.count("dead_lettered"), sums.errors("rejected")), (1, 2, 4));
    let letters = outcome.dead_letters("dead.jsonl");
    let told = |at: usize| (letters[at].text("message"), letters[at].text("payload"));
    assert_eq!(letters.len(), 4, "{letters:?}");
    let excess = "field \"excess\" is inf, which JSON cannot express";
    let line = |at: usize| input.lines().nth(at).unwrap();
    assert_eq!([told(2), told(3)], [(excess, line(0)), (excess, line(2))], "the records from which the alerts come");
    assert_eq!(letters[3].text("place"), "in.jsonl:3");
    let mean = "field \"mean\" is inf, which JSON cannot express";
    assert_eq!(told(0), (mean, r#"{"sensor":"a","readings":1,"mean":"inf","highest":1.7e+308}"#));
    assert!(letters[0].0["source"].is_null(), "a total comes from no record: {letters:?}");
    assert!(told(1).0.contains("-inf"), "{letters:?}");

    let (_, outcome) = run(&[("in.jsonl", input)], &stages(""));
    outcome.expect_exit(4).expect_conservation();
    assert_eq!(outcome.error()["message"].as_str(), Some(excess), "{outcome:?}");
}

#[test]
fn a_record_that_keeps_the_fields_of_its_parent_is_weighed_with_them() {
    // The excess, the celsius and the texts: 8 + 8 + 1 + 1007 bytes are allowed, and one more is not.
    let record = |length: usize| format!("{{\"sensor\":\"a\",\"celsius\":50,\"text\":\"{}\"}}\n", "x".repeat(length));
    let input = record(1007) + &record(1008) + &record(3);
    let schema = "schema = { sensor = \"string\", celsius = \"f64\", text = \"string\" }";
    let settings =
        "config = { above = 0 }\nlimits = { record_bytes = \"1KiB\" }\non_error = { dead_letter = \"dead.jsonl\" }";
    let stages = [
        source("in.jsonl", schema),
        stage("sums", "sensor_totals", "in", settings),
        named_sink("alerts", "sums.alerts"),
        sink("sums"),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", &input)], &stages);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("alerts.jsonl").len(), 2, "{outcome:?}");
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters.len(), letters[0].text("code")), (1, "record-too-large"), "{letters:?}");
    assert!(letters[0].text("message").contains("1025 bytes"), "{letters:?}");
    assert_eq!(values(&scenario, "out.jsonl")[0]["readings"], 2, "the state of the failed call is undone");
}

/// The totals of these readings, computed here.
fn totals(readings: &[(u8, f64)]) -> Vec<Value> {
    let mut sums: BTreeMap<u8, Vec<f64>> = BTreeMap::new();
    readings.iter().for_each(|(sensor, celsius)| sums.entry(*sensor).or_default().push(*celsius));
    let total = |(sensor, all): (&u8, &Vec<f64>)| {
        let sum = all.iter().fold(0.0, |sum, celsius| sum + celsius);
        let mean = (sum / all.len() as f64 * 100.0).round() / 100.0;
        let highest = all.iter().copied().reduce(f64::max).unwrap();
        json!({ "sensor": format!("s{sensor}"), "readings": all.len(), "mean": mean, "highest": highest })
    };
    let mut totals: Vec<Value> = sums.iter().map(total).collect();
    totals.sort_by_key(Value::to_string);
    totals
}

fn counts(scenario: &Scenario) -> BTreeMap<String, u64> {
    let count = |line: &Value| (line["key"].as_str().unwrap().to_owned(), line["records"].as_u64().unwrap());
    values(scenario, "counts.jsonl").iter().map(count).collect()
}

fn run_of(readings: &[(u8, f64)], (copies, parallelism): (usize, u32)) -> (Scenario, Outcome) {
    let line =
        |(sensor, celsius): &(u8, f64)| json!({ "x": [sensor], "sensor": format!("s{sensor}"), "celsius": celsius });
    let input: String = readings.iter().map(|reading| format!("{}\n", line(reading))).collect();
    let keyed = format!("partition = \"key\"\nparallelism = {parallelism}");
    let mut stages = vec![source("in.jsonl", "")];
    let mut last = "in".to_owned();
    let copy = |stages: &mut Vec<String>, last: &mut String, at: usize| {
        if copies >> at & 1 == 1 {
            stages.push(stage(&format!("copy{at}"), "identity", last, ""));
            *last = format!("copy{at}");
        }
    };
    copy(&mut stages, &mut last, 0);
    stages.push(stage("key", "key_sensor", &last, ""));
    last = "key".to_owned();
    copy(&mut stages, &mut last, 1);
    stages.push(stage("sums", "sensor_totals", &last, &format!("config = {{ above = 1e300 }}\n{keyed}")));
    stages.push(stage("tally", "tally", &last, &keyed));
    last = "sums".to_owned();
    copy(&mut stages, &mut last, 2);
    stages.extend([sink(&last), named_sink("counts", "tally")]);
    run(&[("in.jsonl", &input)], &stages)
}

proptest! {
    #![proptest_config(Config { cases: 10, max_shrink_iters: 40, failure_persistence: None, ..Config::default() })]

    /// The state of a process by field against sums done here, and against that of a process of bytes beside it.
    #[test]
    fn the_state_of_a_process_by_field_is_that_of_one_of_bytes(
        readings in prop::collection::vec((0u8..9, -1000i32..1000), 1..500),
        how in (0usize..8, 1u32..4),
    ) {
        // Whole and half degrees, so that the order of the sums does not matter.
        let readings: Vec<(u8, f64)> = readings.iter().map(|(sensor, halves)| (*sensor, f64::from(*halves) / 2.0)).collect();
        let (scenario, outcome) = run_of(&readings, how);
        outcome.expect_exit(0).expect_conservation();
        let found = values(&scenario, "out.jsonl");
        let expected = totals(&readings);
        let plain = |values: &[Value]| -> Vec<(String, u64, i64, f64)> {
            let plain = |value: &Value| {
                let hundredths = (value["mean"].as_f64().unwrap() * 100.0).round() as i64;
                let (sensor, readings) = (value["sensor"].as_str().unwrap().to_owned(), value["readings"].as_u64().unwrap());
                (sensor, readings, hundredths, value["highest"].as_f64().unwrap())
            };
            let mut plain: Vec<_> = values.iter().map(plain).collect();
            plain.sort_by(|one, other| one.0.cmp(&other.0));
            plain
        };
        let (found, expected) = (plain(&found), plain(&expected));
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            // A mean of exactly half a hundredth may be rounded either way.
            prop_assert!((found.2 - expected.2).abs() <= 1, "{:?} {:?}", found, expected);
            prop_assert_eq!((&found.0, found.1, found.3), (&expected.0, expected.1, expected.3));
        }
        let of_bytes: BTreeMap<String, u64> = found.into_iter().map(|(sensor, readings, ..)| (sensor, readings)).collect();
        prop_assert_eq!(counts(&scenario), of_bytes);
    }
}

#[test]
fn a_process_sees_whole_columns_and_then_each_record_with_its_own_state() {
    let mut input = String::new();
    for number in 0..5000_u64 {
        let (sensor, celsius) = (number % 7, (number * 2_654_435_761) % 1000);
        writeln!(input, r#"{{"sensor":"s{sensor}","celsius":{celsius},"humidity":{},"n":{number}}}"#, number % 3)
            .unwrap();
    }
    let mut highest = [f64::NEG_INFINITY; 7];
    let mut expected = Vec::new();
    for line in input.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (number, celsius) = (record["n"].as_u64().unwrap(), record["celsius"].as_f64().unwrap());
        let felt = ((celsius + record["humidity"].as_f64().unwrap() / 20.0) * 10.0).round() / 10.0;
        let highest = &mut highest[(number % 7) as usize];
        if felt > *highest {
            let before = if highest.is_finite() { json!(*highest) } else { Value::Null };
            expected.push((number, felt, before));
            *highest = felt;
        }
    }
    let schema = "schema = { sensor = \"string\", celsius = \"f64\", humidity = \"f64\", n = \"u64\" }";
    let pipeline = [
        source("in.jsonl", schema),
        stage("key", "key_sensor", "in", ""),
        stage("peaks", "peaks", "key", "partition = \"key\"\nparallelism = 2"),
        sink("peaks"),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", &input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    let record = |line: String| {
        let record: Value = serde_json::from_str(&line).unwrap();
        (record["n"].as_u64().unwrap(), record["felt"].as_f64().unwrap(), record["before"].clone())
    };
    let mut found: Vec<_> = scenario.lines("out.jsonl").into_iter().map(record).collect();
    found.sort_by_key(|(number, ..)| *number);
    assert_eq!(found, expected);
    assert_eq!(outcome.stage("peaks").count("handled"), 5000);
}
