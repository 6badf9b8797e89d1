//! The flights example of this repository, run unchanged on its own data. The expected totals are computed
//! here in a different way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use sage_tests::{Scenario, operator};
use serde_json::Value;

#[test]
fn the_flights_example_counts_what_the_file_says() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flights");
    let data = std::fs::read_to_string(example.join("flights-2013-01.csv")).unwrap();
    let pipeline = std::fs::read_to_string(example.join("pipeline.toml")).unwrap();
    let components = operator("flights_parse").parent().unwrap().to_owned();
    let scenario = Scenario::new();
    scenario.file("flights-2013-01.csv", &data);
    let with_components = |pipeline: &str| {
        pipeline.replace("../../operators/target/wasm32-wasip2/release", components.to_str().expect("a UTF-8 path"))
    };
    scenario.pipeline(&with_components(&pipeline));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();

    let expected = totals(&data);
    let found: BTreeMap<String, (u64, f64)> = scenario
        .lines("delay-by-carrier.jsonl")
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            let carrier = line["carrier"].as_str().unwrap().to_owned();
            (carrier, (line["flights"].as_u64().unwrap(), line["mean_arr_delay"].as_f64().unwrap()))
        })
        .collect();
    assert_eq!(found.len(), 16);
    assert!(found.keys().eq(expected.keys()));
    for (carrier, (flights, mean)) in found {
        let (expected_flights, minutes) = expected[&carrier];
        assert_eq!(flights, expected_flights, "{carrier}");
        assert!((mean - minutes / flights as f64).abs() <= 0.005 + 1e-9, "{carrier}: {mean}");
    }
    // Both sinks received every line, and no record was rejected.
    assert_eq!(outcome.stage("terminal").count("records_in"), 16);
    assert_eq!(outcome.stage("parse").count("dead_lettered"), 0);

    // The pipeline by field has the same output, as CSV.
    scenario.pipeline(&with_components(&std::fs::read_to_string(example.join("by-field.toml")).unwrap()));
    let by_field = scenario.run();
    by_field.expect_exit(0).expect_conservation();
    for (by_field_name, name, field) in
        [("arrival", "parse", "records_in"), ("arrived", "flown", "filtered"), ("delay", "delay", "handled")]
    {
        assert_eq!(by_field.stage(by_field_name).count(field), outcome.stage(name).count(field), "{name}");
    }
    let row = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        format!("{},{},{}", line["carrier"].as_str().unwrap(), line["flights"], line["mean_arr_delay"])
    };
    let mut expected: Vec<String> = scenario.lines("delay-by-carrier.jsonl").iter().map(row).collect();
    let mut found = scenario.lines("out-delay-by-carrier.csv");
    assert_eq!(found.remove(0), "carrier,flights,minutes");
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_orders_by_field_are_the_rows_of_the_other_form() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/first-of-each");
    let components = operator("dedupe").parent().unwrap().to_owned();
    let scenario = Scenario::new();
    scenario.file("orders.csv", std::fs::read(example.join("orders.csv")).unwrap());
    let pipeline = std::fs::read_to_string(example.join("by-field.toml")).unwrap();
    scenario.pipeline(&pipeline.replace("../../operators/target/wasm32-wasip2/release", components.to_str().unwrap()));
    scenario.run().expect_exit(0).expect_conservation();
    let expected = std::fs::read_to_string(example.join("expected/out.jsonl")).unwrap();
    let row = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        format!("{},{}\n", line["customer"].as_str().unwrap(), line["city"].as_str().unwrap())
    };
    let expected: String = expected.lines().map(row).collect();
    assert_eq!(scenario.read("out.csv").unwrap(), format!("customer,place\n{expected}"));
}

/// Number of arrived flights and their minutes of delay, by carrier. No field of this file is quoted.
fn totals(data: &str) -> BTreeMap<String, (u64, f64)> {
    let mut lines = data.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|field| *field == name).unwrap();
    let (delay, carrier) = (column("arr_delay"), column("carrier"));
    let mut totals: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        if let Ok(minutes) = fields[delay].parse::<f64>() {
            let total = totals.entry(fields[carrier].to_owned()).or_default();
            *total = (total.0 + 1, total.1 + minutes);
        }
    }
    totals
}
